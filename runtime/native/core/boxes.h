// Boxes: coding, clipping and overlap. Definitions: docs/reference/definitions.md "Box coding", "IoU and NMS".
#pragma once

#include <cmath>
#include <cstddef>

namespace pocketdet {

// Corner coordinates in pixels, at pixel edges: the box of a whole image is {0, 0, width, height}.
struct Box {
    float x1, y1, x2, y2;
};

// In pixels.
struct Size {
    int height, width;
};

// Whether all four coordinates are finite.
inline bool is_finite(const Box& box) {
    return std::isfinite(box.x1) && std::isfinite(box.y1) && std::isfinite(box.x2) && std::isfinite(box.y2);
}

inline float area_of(const Box& box) { return (box.x2 - box.x1) * (box.y2 - box.y1); }

// Intersection over union in [0, 1]; 0 if the union is NaN or not positive. Without branches, so that loops over boxes
// vectorise: an invalid quotient is computed as 0 / 1.
inline float iou(const Box& a, float area_a, const Box& b, float area_b) {
    const float right = a.x2 < b.x2 ? a.x2 : b.x2;
    const float left = a.x1 > b.x1 ? a.x1 : b.x1;
    const float bottom = a.y2 < b.y2 ? a.y2 : b.y2;
    const float top = a.y1 > b.y1 ? a.y1 : b.y1;
    const float width = right - left > 0.0f ? right - left : 0.0f;
    const float height = bottom - top > 0.0f ? bottom - top : 0.0f;
    const float intersection = width * height;
    const float united = area_a + area_b - intersection;
    const float numerator = united > 0.0f ? intersection : 0.0f;
    const float denominator = united > 0.0f ? united : 1.0f;
    return numerator / denominator;
}

// Limits `value` to [low, high]; NaN stays NaN.
inline float clamp(float value, float low, float high) {
    const float raised = value < low ? low : value;
    return raised > high ? high : raised;
}

// Limits a box to [0, width] x [0, height] of the image.
inline Box clip(const Box& box, Size image) {
    const float width = static_cast<float>(image.width);
    const float height = static_cast<float>(image.height);
    return {clamp(box.x1, 0.0f, width), clamp(box.y1, 0.0f, height), clamp(box.x2, 0.0f, width),
            clamp(box.y2, 0.0f, height)};
}

// e^x computed in float64 and rounded to float32. Platforms differ in float32 exp but agree on this value.
inline float exp_float64(float x) { return static_cast<float>(std::exp(static_cast<double>(x))); }

// Applies box deltas to a reference box (Faster R-CNN box coding).
//
// deltas, std: 4 values (dx, dy, dw, dh); the deltas are multiplied by std. dw and dh are limited to log(1000 / 16).
// A NaN delta results in NaN coordinates.
Box decode(const Box& reference, const float* deltas, const float* std);

// Decodes `count` boxes.
//
// references: `count` boxes. deltas: (count, 4). std: 4 values. image: boxes are clipped to it unless it is null.
// boxes: output, `count` boxes.
void decode_boxes(const Box* references, const float* deltas, size_t count, const float* std, const Size* image,
                  Box* boxes);

// Pairwise IoU. out: (count_a, count_b), row-major.
void iou_matrix(const Box* a, size_t count_a, const Box* b, size_t count_b, float* out);

}  // namespace pocketdet
