// Orders the confidences on standard input, bits as whole numbers, one list a line, as nvinfer does.

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

int main() {
    std::string line;
    while (std::getline(std::cin, line)) {
        std::istringstream numbers(line);
        std::vector<std::pair<float, int>> rows;
        for (std::uint32_t bits = 0; numbers >> bits;) {
            float value = 0;
            std::memcpy(&value, &bits, sizeof value);
            rows.emplace_back(value, static_cast<int>(rows.size()));
        }
        std::stable_sort(rows.begin(), rows.end(),
                         [](const auto& one, const auto& other) { return one.first > other.first; });
        for (const auto& row : rows) {
            std::printf("%d ", row.second);
        }
        std::printf("\n");
    }
}
