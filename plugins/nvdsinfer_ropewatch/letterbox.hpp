// The part of the network's input that shows the frame, when nvinfer letterboxes it.
//
// nvinfer tells a parser the network's size and nothing about the frame, so the frame's size and
// where the content sits come from the environment: ROPEWATCH_LETTERBOX=1280x720:symmetric.

#pragma once

#include <cmath>
#include <cstdio>
#include <cstring>

#include "nvdsinfer_custom_impl.h"

namespace ropewatch {

// Edges in network pixels, left <= right and top <= bottom.
struct Content {
  float left, top, right, bottom;
};

// Frame size in pixels as nvstreammux makes it; symmetric as symmetric-padding=1.
struct Letterbox {
  unsigned frame_width, frame_height;
  bool symmetric;
};

constexpr unsigned kLargestSide = 16384;  // beyond any camera; wrapped negative numbers lie there

// Reads "WIDTHxHEIGHT:symmetric" or "WIDTHxHEIGHT:top-left"; false when it is anything else.
inline bool read_letterbox(const char* text, Letterbox& letterbox) {
  char place[12] = "";
  int used = 0;
  if (std::sscanf(text, "%5ux%5u:%11[a-z-]%n", &letterbox.frame_width, &letterbox.frame_height,
                  place, &used) != 3) {
    return false;
  }
  for (const unsigned side : {letterbox.frame_width, letterbox.frame_height}) {
    if (side < 2 || side > kLargestSide) return false;
  }
  letterbox.symmetric = std::strcmp(place, "symmetric") == 0;
  return text[used] == '\0' && (letterbox.symmetric || std::strcmp(place, "top-left") == 0);
}

inline Content whole(const NvDsInferNetworkInfo& network) {
  return {0.0f, 0.0f, static_cast<float>(network.width), static_cast<float>(network.height)};
}

// nvinfer's arithmetic for maintain-aspect-ratio=1: even source sides, content sides cut down to
// whole pixels, an odd rest of the padding on the right or below.
inline Content content_of(const NvDsInferNetworkInfo& network, const Letterbox& letterbox) {
  const double frame_width = letterbox.frame_width & ~1u;
  const double frame_height = letterbox.frame_height & ~1u;
  double width = network.width, height = network.height;
  const double fitting = width * frame_height / frame_width;
  if (fitting <= height) {
    height = std::floor(fitting);
  } else {
    width = std::floor(height * frame_width / frame_height);
  }
  double left = 0.0, top = 0.0;
  if (letterbox.symmetric) {
    left = std::floor((network.width - width) / 2);
    top = std::floor((network.height - height) / 2);
  }
  return {static_cast<float>(left), static_cast<float>(top), static_cast<float>(left + width),
          static_cast<float>(top + height)};
}

}  // namespace ropewatch
