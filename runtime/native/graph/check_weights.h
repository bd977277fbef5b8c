// Weights that ncnn can compute with: present, finite, and of an element type that their layer reads.
//
// ncnn takes the element type of a weight from the file: int8 weights in a layer without int8 scales, or an int8 blob
// into a layer that reads floats, are read out of bounds.
#pragma once

#include <string>
#include <vector>

#include "graph_limits.h"
#include "model.h"

namespace pocketdet::graph {

// Throws GraphError naming the first layer whose weights are missing, misshapen, not finite or of a wrong type.
void check_weights(const Graph& graph);

// Throws GraphError naming the layer at which the weights of all layers so far may need more than limits.weight_bytes:
// a file holds a number in a byte or two, ncnn loads it as float32 and makes a second, larger form of it.
void check_weight_memory(const Graph& graph, const Limits& limits);

// Follows int8 blobs: a convolution with an output scale makes one, and only int8 layers may read it; none may be an
// output. Throws GraphError.
void check_element_types(const Graph& graph, const std::vector<std::string>& outputs);

// For a bundle whose manifest says that no weights are int8. Throws GraphError naming the first layer that is.
void check_no_int8(const Graph& graph);

}  // namespace pocketdet::graph
