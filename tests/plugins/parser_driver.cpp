// Calls the parser library as nvinfer does: dlopen, std::vector by reference, host buffers.
// usage: parser_driver LIBRARY NETWORK_W NETWORK_H DTYPE DIMS NUM_ELEMENTS THRESHOLDS CLASSES
//   DIMS "300,6", THRESHOLDS "0.35,0.5"; the buffer is read from stdin.
//   DRIVER_SDK=LIBRARY in the environment loads one as GStreamer loads plugins: symbols kept local.
// prints one line a detection: class left top width height confidence rotation

#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include "nvdsinfer_custom_impl.h"

static std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> parts;
  std::stringstream stream(text);
  for (std::string part; std::getline(stream, part, ',');) parts.push_back(part);
  return parts;
}

int main(int argc, char** argv) {
  if (argc != 9) return 64;
  const char* sdk = std::getenv("DRIVER_SDK");
  if (sdk != nullptr && dlopen(sdk, RTLD_NOW | RTLD_LOCAL) == nullptr) return 63;
  void* library = dlopen(argv[1], RTLD_NOW);
  if (library == nullptr) {
    std::fprintf(stderr, "%s\n", dlerror());
    return 65;
  }
  const auto bytes_of = reinterpret_cast<unsigned (*)()>(
      dlsym(library, "NvDsInferRopewatchDetectionBytes"));
  const auto parse = reinterpret_cast<NvDsInferParseCustomFunc>(
      dlsym(library, "NvDsInferParseCustomRopewatch"));
  if (bytes_of == nullptr || parse == nullptr) return 66;
  if (bytes_of() != sizeof(NvDsInferObjectDetectionInfo)) return 67;

  std::vector<char> buffer{std::istreambuf_iterator<char>(std::cin), {}};
  NvDsInferLayerInfo input{}, layer{};
  input.isInput = 1;
  layer.dataType = static_cast<NvDsInferDataType>(std::atoi(argv[4]));
  for (const std::string& dim : split(argv[5])) {
    layer.inferDims.d[layer.inferDims.numDims++] = static_cast<unsigned>(std::atoll(dim.c_str()));
  }
  layer.inferDims.numElements = static_cast<unsigned>(std::atoll(argv[6]));
  layer.layerName = "output";
  layer.buffer = buffer.empty() ? nullptr : buffer.data();

  NvDsInferParseDetectionParams params{};
  for (const std::string& value : split(argv[7])) {
    params.perClassPreclusterThreshold.push_back(std::strtof(value.c_str(), nullptr));
  }
  params.numClassesConfigured = static_cast<unsigned>(std::atoi(argv[8]));
  const NvDsInferNetworkInfo network{static_cast<unsigned>(std::atoi(argv[2])),
                                     static_cast<unsigned>(std::atoi(argv[3])), 3};

  std::vector<NvDsInferObjectDetectionInfo> found(3);  // a caller's leftovers must not survive
  if (!parse({input, layer}, network, params, found)) return 68;
  for (const NvDsInferObjectDetectionInfo& box : found) {
    float rotation = 0.0f;
#if ROPEWATCH_DETECTION_BYTES == 28
    rotation = box.rotation_angle;
#endif
    std::printf("%u %.9g %.9g %.9g %.9g %.9g %.9g\n", box.classId, box.left, box.top, box.width,
                box.height, box.detectionConfidence, rotation);
  }
  return 0;
}
