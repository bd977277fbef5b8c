// Layers on packed maps by the kernels of kernels/, with their activation. Each function appends the layers of one
// kind.
#pragma once

#include <vector>

#include "own_layers.h"

namespace pocketdet {

struct Kernels;

// Convolution: 2x2, 3x3 and 6x6 of stride 2 from at most 4 channels, 1x1 of stride 1, in half precision also into
// channels that do not fill vectors, as an output of the graph. ConvolutionDepthWise: 5x5 of stride 1 or 2.
void add_convolutions(const Kernels& kernels, std::vector<OwnLayer>& layers);

// Pooling: the maximum of 3x3 with stride 2 and padding 1. Interp: to twice the size, nearest pixels. In half precision
// also Reduction: the mean of each channel, and Crop: the first channels, as an output of the graph.
void add_pooling(const Kernels& kernels, std::vector<OwnLayer>& layers);

// ReLU with a slope, Sigmoid, Swish and HardSwish, in place.
void add_activations(const Kernels& kernels, std::vector<OwnLayer>& layers);

// Gemm: rows times a constant matrix plus a constant row.
void add_products(const Kernels& kernels, std::vector<OwnLayer>& layers);

// The same in int8, Convolution only 1x1, for half precision on processors that have asimddp.
void add_byte_layers(const Kernels& kernels, std::vector<OwnLayer>& layers);

constexpr char kFullyConnected[] = "PocketdetFullyConnected";          // the type of Gemm
constexpr char kByteFullyConnected[] = "PocketdetByteFullyConnected";  // in int8
constexpr int kFullyConnectedRelu = 23;  // its own parameter, not ncnn's: 1 if ReLU follows

}  // namespace pocketdet
