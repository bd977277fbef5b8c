// Sizes of blobs, and what a run needs at one time.
#pragma once

#include <string>
#include <vector>

#include "graph_limits.h"
#include "infer_shapes.h"

namespace pocketdet::graph {

// Throws GraphError naming the layer at which a blob, or all blobs so far, are larger than allowed.
void check_sizes(const Graph& graph, const BlobShapes& shapes, const Limits& limits);

// The most bytes that blobs and workspace need at one time, 4 for an element, while ncnn computes `outputs`, or those
// that no layer reads where there are none. ncnn starts at an output and goes back to what its inputs need, so the
// order is not the file's; it releases a blob after its reader. Inputs are there from the start, outputs stay. For a
// graph that check_wiring lets pass. Throws GraphError naming the layer at which it is more than allowed.
int64_t check_memory(const Graph& graph, const BlobShapes& shapes, const std::vector<std::string>& outputs,
                     const Limits& limits);

}  // namespace pocketdet::graph
