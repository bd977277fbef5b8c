#include "boxes.h"

namespace pocketdet {

Box decode(const Box& reference, const float* deltas, const float* std) {
    constexpr float kMaxLogScale = 4.135166556742356f;  // log(1000 / 16)
    const float width = reference.x2 - reference.x1;
    const float height = reference.y2 - reference.y1;
    const float dx = deltas[0] * std[0];
    const float dy = deltas[1] * std[1];
    const float dw = deltas[2] * std[2];
    const float dh = deltas[3] * std[3];
    const float centre_x = (reference.x1 + 0.5f * width) + dx * width;
    const float centre_y = (reference.y1 + 0.5f * height) + dy * height;
    const float half_width = 0.5f * (width * exp_float64(dw > kMaxLogScale ? kMaxLogScale : dw));
    const float half_height = 0.5f * (height * exp_float64(dh > kMaxLogScale ? kMaxLogScale : dh));
    return {centre_x - half_width, centre_y - half_height, centre_x + half_width, centre_y + half_height};
}

void decode_boxes(const Box* references, const float* deltas, size_t count, const float* std, const Size* image,
                  Box* boxes) {
    for (size_t i = 0; i < count; ++i) {
        const Box box = decode(references[i], deltas + 4 * i, std);
        boxes[i] = image != nullptr ? clip(box, *image) : box;
    }
}

void iou_matrix(const Box* a, size_t count_a, const Box* b, size_t count_b, float* out) {
    for (size_t i = 0; i < count_a; ++i) {
        const Box box = a[i];
        const float area = area_of(box);
        float* row = out + i * count_b;
        for (size_t j = 0; j < count_b; ++j) row[j] = iou(box, area, b[j], area_of(b[j]));
    }
}

}  // namespace pocketdet
