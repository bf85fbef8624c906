// libFuzzer's target: any tensor that nvinfer could hand over, and many that it could not.
//
// The first bytes of an input choose shape, type, sizes and thresholds; the rest become values, by
// themselves or through a table of the ones that break arithmetic. The buffer is exactly as large
// as its element count says, so reading past it is a finding of AddressSanitizer.

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <vector>

#include "nvdsinfer_custom_impl.h"

extern "C" bool NvDsInferParseCustomRopewatch(std::vector<NvDsInferLayerInfo> const&,
                                              NvDsInferNetworkInfo const&,
                                              NvDsInferParseDetectionParams const&,
                                              std::vector<NvDsInferObjectDetectionInfo>&);

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kAwkward[] = {
    NAN,  -NAN,    kInfinity, -kInfinity, 0.0f,   -0.0f,   1e-45f, -1e-45f, 3.4e38f, -3.4e38f, 1.0f,
    0.5f, 0.4999f, -1.0f,     640.0f,     384.0f, 383.99f, 641.0f, 12.0f,   372.0f,  4.3e9f,   2.0f,
};
constexpr unsigned kSides[] = {0, 1, 2, 16, 384, 640, 8192, 0xffffffffu};
constexpr unsigned kDims[] = {6, 1, 0, 7, 2, 3, 300, 0xffffffffu};

// Hands out an input byte by byte; zeros when it is used up.
class Bytes {
 public:
  Bytes(const std::uint8_t* data, std::size_t size) : data_(data), left_(size) {}
  std::uint8_t next() {
    if (left_ == 0) return 0;
    --left_;
    return *data_++;
  }
  template <typename T>
  T take() {
    std::uint8_t raw[sizeof(T)];
    for (std::uint8_t& byte : raw) byte = next();
    T value;
    std::memcpy(&value, raw, sizeof(value));
    return value;
  }
  float number() {
    const std::uint8_t kind = next();
    if (kind < 128) return kAwkward[kind % (sizeof(kAwkward) / sizeof(float))];
    return kind < 192 ? static_cast<float>(take<std::uint16_t>()) / 64.0f : take<float>();
  }
  std::size_t left() const { return left_; }

 private:
  const std::uint8_t* data_;
  std::size_t left_;
};

// Half of all layers are [N, 6]; the others have any dims and any number of elements.
void shape(Bytes& bytes, NvDsInferDims& dims) {
  const std::uint8_t form = bytes.next();
  if (form % 2 == 0) {
    const unsigned rows = bytes.next() % 64;
    dims = {2, {rows, 6}, rows * 6};
    if (form % 8 == 2) dims = {3, {1, rows, 6}, rows * 6};
    return;
  }
  dims.numDims = bytes.next() % 10;  // 9 is more than there are
  for (unsigned& side : dims.d) side = kDims[bytes.next() % 8];
  dims.numElements = form % 4 == 1 ? bytes.take<std::uint16_t>() % 4096 : 12;
}

void fail(const char* what) {
  std::fprintf(stderr, "parser_fuzz: %s\n", what);
  std::abort();
}

void check(const NvDsInferObjectDetectionInfo& box, const NvDsInferNetworkInfo& network,
           const NvDsInferParseDetectionParams& params) {
  const float width = static_cast<float>(network.width);
  const float height = static_cast<float>(network.height);
  // left + width rounds; half a unit in the last place is not a box outside the network.
  const float slack = 1.0f + 1e-6f;
  if (!(box.left >= 0.0f && box.top >= 0.0f)) fail("a box begins outside the network");
  if (!(box.width > 0.0f && box.height > 0.0f)) fail("a box without area, or NaN");
  if (!(box.left + box.width <= width * slack && box.top + box.height <= height * slack)) {
    fail("a box ends outside the network");
  }
  if (box.classId >= params.numClassesConfigured) fail("a class beyond those configured");
  if (box.classId >= params.perClassPreclusterThreshold.size()) fail("a class without threshold");
  if (!(box.detectionConfidence >= params.perClassPreclusterThreshold[box.classId])) {
    fail("a score below its threshold");
  }
  if (!std::isfinite(box.detectionConfidence)) fail("a score that is no number");
#if ROPEWATCH_DETECTION_BYTES == 28
  if (box.rotation_angle != 0.0f) fail("a rotation");
#endif
}

}  // namespace

extern "C" __attribute__((visibility("default"))) int LLVMFuzzerTestOneInput(
    const std::uint8_t* data, std::size_t size) {
  Bytes bytes(data, size);
  const NvDsInferNetworkInfo network{kSides[bytes.next() % 8], kSides[bytes.next() % 8], 3};
  NvDsInferParseDetectionParams params{};
  params.numClassesConfigured = kDims[bytes.next() % 8];
  params.perClassPreclusterThreshold.resize(bytes.next() % 4);
  for (float& threshold : params.perClassPreclusterThreshold) threshold = bytes.number();

  std::vector<NvDsInferLayerInfo> layers(bytes.next() % 3);
  std::vector<std::vector<char>> buffers(layers.size());
  for (std::size_t i = 0; i < layers.size(); ++i) {
    NvDsInferLayerInfo& layer = layers[i];
    layer.dataType = static_cast<NvDsInferDataType>(bytes.next() % 6);
    if (layer.dataType > INT8) layer.dataType = FLOAT;  // most inputs should be read, not refused
    layer.isInput = bytes.next() % 16 == 0;
    shape(bytes, layer.inferDims);
    const std::size_t element = layer.dataType == HALF ? 2 : 4;
    buffers[i].resize(layer.inferDims.numElements * element);
    for (std::size_t at = 0; at + element <= buffers[i].size() && bytes.left() > 0; at += element) {
      const float number = element == 4 ? bytes.number() : 0.0f;
      const std::uint16_t half = element == 2 ? bytes.take<std::uint16_t>() : 0;
      std::memcpy(&buffers[i][at], element == 4 ? static_cast<const void*>(&number) : &half,
                  element);
    }
    layer.buffer = bytes.next() % 16 == 15 || buffers[i].empty() ? nullptr : buffers[i].data();
    layer.layerName = "output";
  }

  std::vector<NvDsInferObjectDetectionInfo> found(3);  // leftovers must not survive
  if (!NvDsInferParseCustomRopewatch(layers, network, params, found)) fail("false");
  for (const NvDsInferObjectDetectionInfo& box : found) check(box, network, params);
  return 0;
}
