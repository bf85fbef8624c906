// The part of nvinfer's custom-parser ABI that ropewatch needs, for machines without DeepStream.
//
// Names, field order and types follow the binary interface, so that a library built with this
// header can be loaded by nvinfer and the other way round. On a machine with the SDK build with
// DEEPSTREAM_DIR=..., which uses the installed headers instead of this one.
//
// ROPEWATCH_DETECTION_BYTES chooses the size of one detection: 24 up to DeepStream 8.0,
// 28 from 9.0, where rotation_angle was added. std::vector stores elements by value, so a
// library and its caller must agree on it.

#ifndef ROPEWATCH_ABI_NVDSINFER_CUSTOM_IMPL_H
#define ROPEWATCH_ABI_NVDSINFER_CUSTOM_IMPL_H

#include <vector>

#ifndef ROPEWATCH_DETECTION_BYTES
#define ROPEWATCH_DETECTION_BYTES 28
#endif
#if ROPEWATCH_DETECTION_BYTES != 24 && ROPEWATCH_DETECTION_BYTES != 28
#error "ROPEWATCH_DETECTION_BYTES: want 24 (DeepStream up to 8.0) or 28 (from 9.0)"
#endif

enum NvDsInferDataType { FLOAT = 0, HALF = 1, INT8 = 2, INT32 = 3, INT64 = 4, UINT8 = 5 };

struct NvDsInferDims {
  unsigned int numDims;
  unsigned int d[8];
  unsigned int numElements;
};

// One tensor of one frame or crop; dims are without the batch, buffer is host memory.
struct NvDsInferLayerInfo {
  NvDsInferDataType dataType;
  NvDsInferDims inferDims;
  int bindingIndex;
  const char* layerName;
  void* buffer;
  int isInput;
};

struct NvDsInferNetworkInfo {
  unsigned int width;
  unsigned int height;
  unsigned int channels;
};

// A box in network pixels.
struct NvDsInferObjectDetectionInfo {
  unsigned int classId;
  float left;
  float top;
  float width;
  float height;
  float detectionConfidence;
#if ROPEWATCH_DETECTION_BYTES == 28
  float rotation_angle;  // radians
#endif
};

struct NvDsInferParseDetectionParams {
  unsigned int numClassesConfigured;
  std::vector<float> perClassPreclusterThreshold;
  std::vector<float> perClassPostclusterThreshold;
  std::vector<float>& perClassThreshold = perClassPreclusterThreshold;  // an old name, kept by the ABI
};

typedef bool (*NvDsInferParseCustomFunc)(std::vector<NvDsInferLayerInfo> const& outputLayersInfo,
                                         NvDsInferNetworkInfo const& networkInfo,
                                         NvDsInferParseDetectionParams const& detectionParams,
                                         std::vector<NvDsInferObjectDetectionInfo>& objectList);

#endif
