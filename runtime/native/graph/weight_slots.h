// Which weights a layer has in the .bin file: order, shape and whether each is tagged.
//
// Facts from load_model of ncnn 1.0.20261020's layers. Convolution weights are (out, in / group, kernel_h, kernel_w),
// deconvolution weights too (output channel first, unlike PyTorch); InnerProduct is (out, in); a constant Gemm operand
// is the matrix as stored, before its own transpose flag.
#pragma once

#include <string>
#include <vector>

#include "model.h"

namespace pocketdet::graph {

// Place of one weight: tagged ones choose their own storage, the others are raw float32.
struct Slot {
    std::string role;
    Shape shape;
    bool tagged = false;
};
using Slots = std::vector<Slot>;

// The weights of a layer in file order; empty for a type without weights. Throws GraphError for a type whose layout is
// not known here, and for parameters that give no sane shape.
Slots weight_slots(const Layer& layer);

// Whether weight_slots knows this layer type.
bool has_known_weights(const std::string& layer_type);

// Number of elements of a shape whose sizes are not negative; the largest number where that does not fit.
int64_t elements_of(const Shape& shape);

// The sizes (w, h, c, d) of a blob that parameters 0, 1, 2 and 11 write, where 0 means none.
Shape written_shape(int64_t w, int64_t h, int64_t c, int64_t d);

}  // namespace pocketdet::graph
