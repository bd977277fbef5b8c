// Boxes: coding, clipping and overlap, as docs/reference/definitions.md writes them ("Box coding", "IoU and NMS").
#pragma once

#include <cmath>
#include <cstddef>

namespace pocketdet {

// Corners in pixels, edges not centres: a box over the whole image is {0, 0, width, height}.
struct Box {
    float x1, y1, x2, y2;
};

struct Size {
    int height, width;
};

inline bool is_finite(const Box& box) {
    return std::isfinite(box.x1) && std::isfinite(box.y1) && std::isfinite(box.x2) && std::isfinite(box.y2);
}

inline float area_of(const Box& box) { return (box.x2 - box.x1) * (box.y2 - box.y1); }

// Intersection over union; 0 where the union is not positive (NaN included). Branch-free, so that loops over
// boxes vectorise: a quotient that must not count is computed as 0 / 1.
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

inline float clamp(float value, float low, float high) {
    const float raised = value < low ? low : value;  // a NaN fails both comparisons and stays
    return raised > high ? high : raised;
}

inline Box clip(const Box& box, Size image) {
    const float width = static_cast<float>(image.width);
    const float height = static_cast<float>(image.height);
    return {clamp(box.x1, 0.0f, width), clamp(box.y1, 0.0f, height), clamp(box.x2, 0.0f, width),
            clamp(box.y2, 0.0f, height)};
}

// e^x in float64, rounded to float32: the same bits whatever float32 exp the platform has.
inline float exp_rounded(float x) { return static_cast<float>(std::exp(static_cast<double>(x))); }

// deltas and std: (dx, dy, dw, dh). A NaN delta gives NaN coordinates.
Box decode(const Box& reference, const float* deltas, const float* std);

// references and boxes: `count` boxes; deltas: `count` x 4; std: 4; `image` may be null (no clipping).
void decode_boxes(const Box* references, const float* deltas, size_t count, const float* std, const Size* image,
                  Box* boxes);

// out[i * count_b + j] = iou(a[i], b[j]).
void iou_matrix(const Box* a, size_t count_a, const Box* b, size_t count_b, float* out);

}  // namespace pocketdet
