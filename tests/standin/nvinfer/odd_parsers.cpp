// Parsers of a library that does not state its layout, and one that gives up.
#include <vector>

#include "nvdsinfer_custom_impl.h"

struct OldDetection {
  unsigned int class_id;
  float box[4];
  float confidence;
};

#define PARSER(name) \
  extern "C" bool name(void*, NvDsInferNetworkInfo const&, void*, void* found)

PARSER(ParseOld) {
  static_cast<std::vector<OldDetection>*>(found)->assign(5, {0, {1, 2, 3, 4}, 0.5f});
  return true;
}

PARSER(ParseNew) {
  NvDsInferObjectDetectionInfo one{};
  one.width = one.height = 8;
  one.detectionConfidence = 0.5f;
  static_cast<std::vector<NvDsInferObjectDetectionInfo>*>(found)->push_back(one);
  return true;
}

PARSER(ParseFails) {
  static_cast<std::vector<OldDetection>*>(found)->resize(3);
  return false;
}
