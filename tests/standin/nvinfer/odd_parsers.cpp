// Parsers of a library that does not state its layout, one that gives up, and two classifiers.
#include <cstring>
#include <string>
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

struct Attribute {
  unsigned int index, value;
  float confidence;
  char* label;
};

#define CLASSIFIER(name)                                                                \
  extern "C" bool name(std::vector<NvDsInferLayerInfo> const& layers,                   \
                       NvDsInferNetworkInfo const&, float threshold,                    \
                       std::vector<Attribute>& found, std::string& description)

// One attribute a value of the first output; the file's labels name them.
CLASSIFIER(ClassifyEach) {
  auto const* scores = static_cast<float const*>(layers[0].buffer);
  for (unsigned int n = 0; n < layers[0].inferDims.numElements; ++n)
    if (scores[n] > threshold) found.push_back({n, 1, scores[n], nullptr});
  return true;
}

// One attribute with a label and a description of its own, longer than a string holds inside.
CLASSIFIER(ClassifyNamed) {
  found.push_back({0, 7, 0.5f, strdup("own")});
  description = "a description of more than fifteen characters";
  return true;
}

CLASSIFIER(ClassifyFails) { return false; }
