// A camera's image as the core can take it: RGBA or YUV planes with strides, of which a part is cropped and turned.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "image.h"

namespace pocketdet {

struct Frame {
    enum Kind { kRgba, kYuv };
    Kind kind;
    const uint8_t *first, *second, *third;        // pixels; or luma, U, V
    std::ptrdiff_t row, chroma_row, chroma_step;  // bytes
    int left, top, across, down;                  // the part, in pixels of the planes
    int turns;                                    // quarter turns clockwise after cropping

    int width() const { return turns % 2 == 0 ? across : down; }
    int height() const { return turns % 2 == 0 ? down : across; }
};

// The frame as the core takes it: RGBA that is not turned as it lies there, everything else through `rgb`.
ImageView view_of(const Frame& frame, std::vector<uint8_t>& rgb);

// Packed RGB rows of the cropped and turned image, 3 * width() * height() bytes.
void to_rgb(const Frame& frame, uint8_t* rgb);

}  // namespace pocketdet
