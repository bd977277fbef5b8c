// Multiply-accumulates, parameters, workspace and work per layer.
//
// One multiply-accumulate (MAC) is one product added to a sum. Counted are the products with weights and between
// matrices; biases, activations, pooling, interpolation and the bilinear taps of a deformable convolution are not.
#pragma once

#include <optional>
#include <vector>

#include "graph_limits.h"
#include "infer_shapes.h"

namespace pocketdet::graph {

struct LayerCost {
    std::optional<int64_t> macs;  // where the shapes are known
    int64_t parameters = 0;       // numbers stored for the layer, int8 scales aside
};

// Cost of every layer in order. Throws GraphError for a layer whose parameters give no sane weights.
std::vector<LayerCost> count_costs(const Graph& graph, const BlobShapes& shapes);

// Elements that ncnn 1.0.20261020 allocates beside the inputs and outputs of a layer that is sound: padded inputs, the
// columns of im2col, packed matrices. An upper estimate: it may choose a kernel that needs less.
int64_t workspace_of(const Layer& layer, const Shapes& inputs, const Shapes& outputs);

// Float32 numbers that ncnn allocates for a blob: channels of 3 and 4 dimensions begin at multiples of 16 bytes.
int64_t allocated_elements(const Shape& shape);

// Throws GraphError naming the layer at which all layers so far do more than limits.macs. Other work than
// multiply-accumulates is counted in the same unit by the time it takes: 16 for an element that is read, written or put
// into workspace, 64 more for a function such as exp.
void check_work(const Graph& graph, const BlobShapes& shapes, const std::vector<LayerCost>& costs,
                const Limits& limits);

}  // namespace pocketdet::graph
