// How the layers of a graph are connected: names, makers and readers of blobs, and the way from an input to a layer.
#pragma once

#include <string>
#include <vector>

#include "graph_limits.h"
#include "model.h"

namespace pocketdet::graph {

// Throws GraphError for a header that is not true, and for more layers or blobs than allowed, or none.
void check_counts(const Graph& graph, const Limits& limits);

// Throws GraphError for a name of two layers or a blob that is made twice.
void check_names(const Graph& graph);

// Every blob is made before it is read, and read once: ncnn releases a blob after its first reader. No layer is further
// from an input than allowed: ncnn walks from an output to the inputs by recursion. Throws GraphError.
void check_wiring(const Graph& graph, const Limits& limits);

// Every output is there, and no layer reads it: ncnn hands an output to the caller or to its reader, not to both. Throws
// GraphError.
void check_outputs(const Graph& graph, const std::vector<std::string>& outputs);

}  // namespace pocketdet::graph
