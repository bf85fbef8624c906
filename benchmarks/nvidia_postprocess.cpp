// Runs cases through NVIDIA's own post-processing, see postprocess_nvidia.py. A case is one line of
// numbers, floats as the hexadecimal of their 32 bits; so is the answer.
#include "nvdsinfer_context_impl.h"

#include <cstdio>
#include <cstring>
#include <iostream>

using namespace nvdsinfer;

namespace {

std::vector<NvDsInferObjectDetectionInfo> candidates;

float read_float() {
  unsigned bits;
  std::cin >> std::hex >> bits >> std::dec;
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

void write_float(float value) {
  unsigned bits;
  std::memcpy(&bits, &value, sizeof bits);
  std::printf(" %x", bits);
}

bool give_candidates(const std::vector<NvDsInferLayerInfo> &, const NvDsInferNetworkInfo &,
                     const NvDsInferParseDetectionParams &,
                     std::vector<NvDsInferObjectDetectionInfo> &found) {
  found = candidates;
  return true;
}

// mode classes {pre post iou topk} candidates {class left top width height confidence}
void detect() {
  DetectPostprocessor processor(1);
  int mode;
  unsigned classes, count;
  std::cin >> mode >> classes;
  processor.m_ClusterMode = static_cast<NvDsInferClusterMode>(mode);
  processor.m_NumDetectedClasses = processor.m_DetectionParams.numClassesConfigured = classes;
  processor.m_PerClassObjectList.resize(classes);
  for (unsigned index = 0; index < classes; ++index) {
    NvDsInferDetectionParams params{};
    params.preClusterThreshold = read_float();
    params.postClusterThreshold = read_float();
    params.nmsIOUThreshold = read_float();
    std::cin >> params.topK;
    processor.m_PerClassDetectionParams.push_back(params);
    processor.m_DetectionParams.perClassPreclusterThreshold.push_back(params.preClusterThreshold);
    processor.m_DetectionParams.perClassPostclusterThreshold.push_back(
        params.postClusterThreshold);
  }
  std::cin >> count;
  candidates.assign(count, {});
  for (auto &one : candidates) {
    std::cin >> one.classId;
    one.left = read_float();
    one.top = read_float();
    one.width = read_float();
    one.height = read_float();
    one.detectionConfidence = read_float();
  }
  processor.m_CustomBBoxParseFunc = give_candidates;
  // Asked for and, with minBoxes 0, never used.
  processor.m_DBScanHandle.reset(reinterpret_cast<NvDsInferDBScan *>(&candidates), [](auto *) {});
  NvDsInferDetectionOutput output{};
  processor.fillDetectionOutput({}, output);
  for (unsigned index = 0; index < output.numObjects; ++index) {
    const auto &one = output.objects[index];
    std::printf(" %d", one.classIndex);
    for (float value : {one.left, one.top, one.width, one.height, one.confidence})
      write_float(value);
  }
  std::printf("\n");
}

// threshold outputs {dims size.. values..} rows {labels, number of each}
void classify() {
  ClassifyPostprocessor processor(1);
  processor.m_ClassifierThreshold = read_float();
  unsigned outputs, rows;
  std::cin >> outputs;
  std::vector<std::vector<float>> buffers(outputs);
  for (auto &buffer : buffers) {
    NvDsInferLayerInfo layer{};
    std::cin >> layer.inferDims.numDims;
    layer.inferDims.numElements = 1;
    for (unsigned index = 0; index < layer.inferDims.numDims; ++index) {
      std::cin >> layer.inferDims.d[index];
      layer.inferDims.numElements *= layer.inferDims.d[index];
    }
    buffer.resize(layer.inferDims.numElements);
    for (float &value : buffer)
      value = read_float();
    layer.buffer = buffer.data();
    processor.m_OutputLayerInfo.push_back(layer);
  }
  std::cin >> rows;
  for (unsigned row = 0; row < rows; ++row) {
    unsigned labels;
    std::cin >> labels;
    processor.m_Labels.emplace_back();
    for (unsigned index = 0; index < labels; ++index) {
      std::string quoted;
      std::cin >> quoted;
      processor.m_Labels.back().push_back(quoted.substr(1));
    }
  }
  NvDsInferClassificationOutput output{};
  processor.fillClassificationOutput(processor.m_OutputLayerInfo, output);
  for (unsigned index = 0; index < output.numAttributes; ++index) {
    const auto &one = output.attributes[index];
    std::printf(" %u %u", one.attributeIndex, one.attributeValue);
    write_float(one.attributeConfidence);
    std::printf(" %s%s", one.attributeLabel ? "=" : "-",
                one.attributeLabel ? one.attributeLabel : "");
  }
  std::printf("|%s\n", output.label);
}

}  // namespace

extern "C" {
void NvDsInferDBScanCluster(NvDsInferDBScanHandle, NvDsInferDBScanClusteringParams *,
                            NvDsInferObjectDetectionInfo *, size_t *) {
  std::abort();
}
void NvDsInferDBScanClusterHybrid(NvDsInferDBScanHandle, NvDsInferDBScanClusteringParams *,
                                  NvDsInferObjectDetectionInfo *, size_t *) {
  std::abort();
}
}

int main() {
  std::string kind;
  while (std::cin >> kind) {
    kind == "detect" ? detect() : classify();
    std::fflush(stdout);
  }
}
