// Inner loops of layers on maps whose channels lie in groups of one vector, as ncnn packs them: pixel by pixel, the
// channels of a group side by side. For 64-bit ARM in half precision and in float32, for x86 in float32.
#pragma once

#include <cstddef>

namespace pocketdet {

// Elements are __fp16 or float, as `Kernels::element_size` says. Rows of a group are `lanes` elements a pixel.

// A function of each element. Kinds have the numbers of ncnn's activations of convolutions; Swish has none.
struct Activation {
    enum class Kind { none = 0, relu = 1, leaky_relu = 2, sigmoid = 4, hard_swish = 6, swish = 100 };
    Kind kind = Kind::none;
    float a = 0, b = 0;  // leaky_relu: its slope, 0 to 1; hard_swish: x * clamp(a * x + b, 0, 1)
};

// One row of a 2x2, 3x3 or 6x6 convolution of stride 2 from plain planes into channel groups.
struct StemRow {
    int kernel;
    const void* const* rows;  // `kernel` for each plane, each from the left edge of the first window on
    int planes;
    const void* weights;  // [batch of 3 groups, the last one may have fewer][plane][row][column][group][lane]
    const void* bias;     // [group][lane]
    void* const* outs;    // a row for each group
    int groups, width;    // of the output
    Activation activation;
};

// A matrix product: a 1x1 convolution, or a Gemm whose pixels are rows. Strides are in elements. One
// of the output's is that of a vector.
struct Product {
    const void* from;  // blocks of `lanes` inputs of a pixel
    std::ptrdiff_t block_stride, pixel_stride;
    int blocks, pixels;
    const void* weights;  // [batch of 2 groups, the last one may have 1][block][input lane][group][lane]
    const void* bias;     // [group][lane]
    void* out;
    std::ptrdiff_t out_group_stride, out_pixel_stride;
    int groups;
    Activation activation;
};

// A 5x5 depthwise convolution of one channel group. Strides of rows are in elements.
struct Depthwise {
    const void* from;
    std::ptrdiff_t row_stride;
    // Null if `from` has its padding. Otherwise a row of zeros as long as those of the source, which has none: 2 pixels
    // before each row and each column of it are zero, and what windows read after them. Its width is the stride times
    // that of the output, which is a multiple of Kernels::depthwise_pixels.
    const void* zeros;
    int source_height;    // if there is no padding
    const void* weights;  // [5 rows][5 columns][lane]
    const void* bias;     // [lane]
    void* out;
    int width, height, stride;  // of the output; 1 or 2
    Activation activation;
};

// One row of 3x3 maximum pooling of stride 2 and padding 1, of one channel group.
struct MaxPoolRow {
    const void* const* rows;  // 3, each from the first pixel on; an outer one is the row next to it again
    void* out;
    int source_width;  // the output has (source_width + 1) / 2 pixels
};

struct Kernels {
    int lanes;
    std::size_t element_size;
    // Rounds `count` floats to elements.
    void (*convert)(const float* from, int count, void* to);
    void (*stem)(const StemRow&);
    void (*product)(const Product&);
    void (*depthwise)(const Depthwise&);
    void (*max_pool)(const MaxPoolRow&);
    // Channels 0 of `a`, 0 of `b`, 1 of `a`, ... of two channel groups: the first group of them, and the second.
    void (*interleave)(const void* a, const void* b, int pixels, void* first, void* second);
    // Channels 0, 2, ... of `a`, then of `b`: a channel group. Channels 1, 3, ...: another.
    void (*separate)(const void* a, const void* b, int pixels, void* even, void* odd);
    // Each pixel of a row of a channel group twice.
    void (*double_row)(const void* from, int pixels, void* to);
    // In place. A sigmoid is within 1e-3 in half precision, 2e-7 in float32; Swish is within 1.2e-3 and 4e-7 times the
    // element, or times 1 if that is larger. HardSwish of minus infinity is NaN.
    void (*activate)(const Activation&, void* elements, std::size_t count);
    int depthwise_pixels;  // of a tile of a depthwise convolution
    // The first `planes` channels of a group, each as a plane of floats, `plane_stride` floats after the one before it.
    // Null except in half precision, as is the next.
    void (*to_planes)(const void* group, int pixels, int planes, float* to, std::ptrdiff_t plane_stride) = nullptr;
    // The mean of the pixels of a group, summed in float32.
    void (*mean)(const void* group, int pixels, void* to) = nullptr;
};

extern const Kernels kSingleKernels;  // 64-bit ARM
extern const Kernels kHalfKernels;    // 64-bit ARM with asimdhp
extern const Kernels kAvx2Kernels;    // x86 with AVX2 and FMA

}  // namespace pocketdet
