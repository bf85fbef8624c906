// Bounding-box parser for detectors made by `ropewatch export detector`.
//
// Takes one output of shape [N, 6], FLOAT or HALF, N may be 0; columns x1, y1, x2, y2 in network
// pixels, score between 0 and 1, class id. Leading dimensions of 1 are allowed.
// Boxes are clamped to the network, or to the letterboxed frame in it where ROPEWATCH_LETTERBOX
// says how large the frame is (README.md); clustering (NMS) is nvinfer's.

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <vector>

#include "letterbox.hpp"
#include "nvdsinfer_custom_impl.h"
#include "sdk_version.hpp"

#define ROPEWATCH_EXPORT extern "C" __attribute__((visibility("default")))

namespace {

using Detection = NvDsInferObjectDetectionInfo;
using Layer = NvDsInferLayerInfo;
using Params = NvDsInferParseDetectionParams;

static_assert(sizeof(void*) == 8, "DeepStream is 64 bit only");
static_assert(sizeof(NvDsInferDims) == 40, "NvDsInferDims");
static_assert(offsetof(NvDsInferDims, numDims) == 0, "NvDsInferDims.numDims");
static_assert(offsetof(NvDsInferDims, d) == 4, "NvDsInferDims.d");
static_assert(offsetof(NvDsInferDims, numElements) == 36, "NvDsInferDims.numElements");
static_assert(sizeof(Layer) == 72, "NvDsInferLayerInfo");
static_assert(sizeof(NvDsInferDataType) == 4, "NvDsInferDataType");
static_assert(offsetof(Layer, dataType) == 0, "NvDsInferLayerInfo.dataType");
static_assert(offsetof(Layer, inferDims) == 4, "NvDsInferLayerInfo.inferDims");
static_assert(offsetof(Layer, bindingIndex) == 44, "NvDsInferLayerInfo.bindingIndex");
static_assert(offsetof(Layer, layerName) == 48, "NvDsInferLayerInfo.layerName");
static_assert(offsetof(Layer, buffer) == 56, "NvDsInferLayerInfo.buffer");
static_assert(offsetof(Layer, isInput) == 64, "NvDsInferLayerInfo.isInput");
static_assert(sizeof(NvDsInferNetworkInfo) == 12, "NvDsInferNetworkInfo");
static_assert(offsetof(NvDsInferNetworkInfo, width) == 0, "NvDsInferNetworkInfo.width");
static_assert(offsetof(NvDsInferNetworkInfo, height) == 4, "NvDsInferNetworkInfo.height");
static_assert(offsetof(Detection, classId) == 0, "NvDsInferObjectDetectionInfo.classId");
static_assert(offsetof(Detection, left) == 4, "NvDsInferObjectDetectionInfo.left");
static_assert(offsetof(Detection, top) == 8, "NvDsInferObjectDetectionInfo.top");
static_assert(offsetof(Detection, width) == 12, "NvDsInferObjectDetectionInfo.width");
static_assert(offsetof(Detection, height) == 16, "NvDsInferObjectDetectionInfo.height");
static_assert(offsetof(Detection, detectionConfidence) == 20,
              "NvDsInferObjectDetectionInfo.detectionConfidence");
static_assert(sizeof(Params) == 64, "NvDsInferParseDetectionParams");
// The reference member makes the type non-standard-layout, for which offsetof is
// conditionally supported; both compilers in use support it.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Winvalid-offsetof"
static_assert(offsetof(Params, numClassesConfigured) == 0, "numClassesConfigured");
static_assert(offsetof(Params, perClassPreclusterThreshold) == 8, "perClassPreclusterThreshold");
static_assert(offsetof(Params, perClassPostclusterThreshold) == 32, "perClassPostclusterThreshold");
#pragma GCC diagnostic pop
#ifdef ROPEWATCH_DETECTION_BYTES
static_assert(sizeof(Detection) == ROPEWATCH_DETECTION_BYTES,
              "the headers' detection is not of DETECTION_BYTES; leave DETECTION_BYTES unset or "
              "set the SDK's (24 up to DeepStream 8.0, 28 from 9.0)");
#endif
static_assert(sizeof(Detection) == 24 || sizeof(Detection) == 28,
              "a layout of NvDsInferObjectDetectionInfo that ropewatch does not know");

constexpr std::size_t kColumns = 6;

// IEEE 754 half to float. By hand, because not every compiler in use has a half type for C++.
float half_to_float(std::uint16_t half) {
  const float sign = (half & 0x8000u) != 0 ? -1.0f : 1.0f;
  const int exponent = (half >> 10) & 0x1f;
  const int fraction = half & 0x3ff;
  if (exponent == 0x1f) return fraction != 0 ? NAN : sign * INFINITY;
  if (exponent == 0) return sign * std::ldexp(static_cast<float>(fraction), -24);
  return sign * std::ldexp(static_cast<float>(fraction + 0x400), exponent - 25);
}

// Rows of a layer that is [N, 6] after leading ones; -1 when it is anything else.
long long rows_of(const Layer& layer) {
  const NvDsInferDims& dims = layer.inferDims;
  if (layer.isInput || (layer.dataType != FLOAT && layer.dataType != HALF)) return -1;
  if (dims.numDims < 2 || dims.numDims > 8) return -1;
  if (static_cast<unsigned>(dims.d[dims.numDims - 1]) != kColumns) return -1;
  for (unsigned i = 0; i + 2 < dims.numDims; ++i) {
    if (dims.d[i] != 1) return -1;
  }
  const unsigned rows = static_cast<unsigned>(dims.d[dims.numDims - 2]);
  // The element count is what the buffer was allocated by: never read past it.
  if (static_cast<std::uint64_t>(rows) * kColumns != dims.numElements) return -1;
  if (rows != 0 && layer.buffer == nullptr) return -1;
  return rows;
}

void read_row(const Layer& layer, std::size_t row, float (&values)[kColumns]) {
  const char* bytes = static_cast<const char*>(layer.buffer);
  if (layer.dataType == FLOAT) {
    std::memcpy(values, bytes + row * sizeof(values), sizeof(values));
    return;
  }
  std::uint16_t halves[kColumns];
  std::memcpy(halves, bytes + row * sizeof(halves), sizeof(halves));
  for (std::size_t i = 0; i < kColumns; ++i) values[i] = half_to_float(halves[i]);
}

float clamp(float value, float low, float high) { return std::fmin(std::fmax(value, low), high); }

// Fills `detection` and says whether the row is a box to keep.
bool keep(const float (&values)[kColumns], const ropewatch::Content& content,
          const Params& params, Detection& detection) {
  for (const float value : values) {
    if (!std::isfinite(value)) return false;
  }
  const float nearest_class = std::round(values[5]);
  if (nearest_class < 0.0f || nearest_class >= static_cast<float>(params.numClassesConfigured)) {
    return false;
  }
  const std::size_t class_id = static_cast<std::size_t>(nearest_class);
  const std::vector<float>& thresholds = params.perClassPreclusterThreshold;
  if (class_id >= thresholds.size() || !(values[4] >= thresholds[class_id])) return false;

  const float left = clamp(values[0], content.left, content.right);
  const float top = clamp(values[1], content.top, content.bottom);
  const float right = clamp(values[2], content.left, content.right);
  const float bottom = clamp(values[3], content.top, content.bottom);
  if (!(right > left) || !(bottom > top)) return false;

  detection = Detection{};  // rotation_angle, where it exists, must not be stack garbage
  detection.classId = static_cast<unsigned int>(class_id);
  detection.left = left;
  detection.top = top;
  detection.width = right - left;
  detection.height = bottom - top;
  detection.detectionConfidence = values[4];
  return true;
}

void warn_once(std::once_flag& warned, const char* text) {
  std::call_once(warned, [text] { std::fprintf(stderr, "ropewatch parser: %s\n", text); });
}

// Detections of another size than nvinfer's would be corrupt boxes, or none where people are.
bool fits_sdk() {
  ropewatch::SdkVersion sdk{};
  if (!ropewatch::find_sdk(sdk)) return true;  // a stand-in; it compares the sizes itself
  const unsigned wanted = ropewatch::detection_bytes_of(sdk);
  if (wanted == sizeof(Detection)) return true;
  std::fprintf(stderr,
               "ropewatch parser: this library writes detections of %zu bytes, DeepStream %u.%u "
               "reads %u, so no frame has a box; rebuild it on this machine: make -C "
               "plugins/nvdsinfer_ropewatch DEEPSTREAM_DIR=/opt/nvidia/deepstream/deepstream\n",
               sizeof(Detection), sdk.major, sdk.minor, wanted);
  return false;
}

// Nothing when the variable is unset. A wrong value costs the tighter clamp, not the boxes.
const ropewatch::Letterbox* letterbox_of_environment() {
  static ropewatch::Letterbox letterbox{};
  const char* text = std::getenv("ROPEWATCH_LETTERBOX");
  if (text == nullptr) return nullptr;
  if (ropewatch::read_letterbox(text, letterbox)) return &letterbox;
  std::fprintf(stderr,
               "ropewatch parser: ROPEWATCH_LETTERBOX: '%s', want WIDTHxHEIGHT:symmetric or "
               "WIDTHxHEIGHT:top-left, the muxer's frame, such as 1280x720:symmetric; boxes are "
               "clamped to the whole network until it is corrected\n",
               text);
  return nullptr;
}

}  // namespace

// Bytes of one detection in the layout that this library was built for; a loader compares it
// with its own before it calls the parser.
ROPEWATCH_EXPORT unsigned int NvDsInferRopewatchDetectionBytes() { return sizeof(Detection); }

// nvinfer only logs a parser that returns false and then reads a result that was never written,
// so a frame that cannot be parsed is an empty list and true.
ROPEWATCH_EXPORT bool NvDsInferParseCustomRopewatch(
    std::vector<NvDsInferLayerInfo> const& outputLayersInfo,
    NvDsInferNetworkInfo const& networkInfo, NvDsInferParseDetectionParams const& detectionParams,
    std::vector<NvDsInferObjectDetectionInfo>& objectList) {
  static std::once_flag warned_of_shape, warned_of_memory;
  objectList.clear();
  try {
    static const bool fits = fits_sdk();
    static const ropewatch::Letterbox* const letterbox = letterbox_of_environment();
    if (!fits) return true;
    const ropewatch::Content content = letterbox == nullptr
                                           ? ropewatch::whole(networkInfo)
                                           : ropewatch::content_of(networkInfo, *letterbox);
    for (const Layer& layer : outputLayersInfo) {
      const long long rows = rows_of(layer);
      if (rows < 0) continue;
      float values[kColumns];
      Detection detection{};
      for (long long row = 0; row < rows; ++row) {
        read_row(layer, static_cast<std::size_t>(row), values);
        if (keep(values, content, detectionParams, detection)) objectList.push_back(detection);
      }
      return true;
    }
    warn_once(warned_of_shape,
              "no output of shape [N, 6] in FLOAT or HALF, so no frame has a box; want a model "
              "from `ropewatch export detector`");
  } catch (...) {
    // An exception must not cross the C interface; running out of memory is the only one left.
    objectList.clear();
    warn_once(warned_of_memory, "out of memory while parsing; boxes of such frames are lost");
  }
  return true;
}

// The compiler refuses this line when the signature is not nvinfer's.
[[maybe_unused]] static const NvDsInferParseCustomFunc checked_signature =
    NvDsInferParseCustomRopewatch;
