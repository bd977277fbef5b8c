// Inner loops of layers in int8 on packed maps in half precision, for 64-bit ARM processors that have asimdhp, and
// asimddp for dot products of int8.
#pragma once

#include <cstddef>
#include <cstdint>

namespace pocketdet {

constexpr int kByteBlock = 8;  // inputs or outputs side by side

// A matrix product of int8: a 1x1 convolution, or a fully connected layer whose pixels are rows.
struct ByteProduct {
    const std::int8_t* from;  // blocks of 8 inputs of a pixel
    std::ptrdiff_t block_stride, pixel_stride;
    int blocks, pixels;
    const std::int8_t* weights;  // [group of 8 outputs][block][half of the block][output][4 inputs]
    const float* scales;         // of an output: it is scale * sum + bias
    const float* bias;
    void* out;                                          // halves
    std::ptrdiff_t out_group_stride, out_pixel_stride;  // in halves
    int groups;
    bool relu;
};

struct ByteKernels {
    // The largest absolute value of halves.
    float (*largest)(const void* halves, std::size_t count);
    // The halves times `scale`, rounded, ties to even, within -127..127. `scale` is a half too.
    void (*quantize)(const void* halves, std::size_t count, float scale, std::int8_t* to);
    void (*product)(const ByteProduct&);
};

extern const ByteKernels kByteKernels;

}  // namespace pocketdet
