// Decides whether ncnn may be given a graph that came from an untrusted file.
//
// ncnn's loader and layers trust the file: a wrong count, size or element type is read out of bounds and ends the
// process. Here a graph is refused unless every layer is of a type whose rule accepts it, so what is not understood
// does not pass. No step is recursive.
//
// Proved against ncnn 1.0.20261020 on x86 with its default options. Two options of that release crash on graphs that
// are sound: use_packing_layout=False on a dilation larger than the output, and use_bf16_storage=True on
// DeconvolutionDepthWise whose groups are not single channels.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "cost.h"
#include "graph_limits.h"
#include "infer_shapes.h"

namespace pocketdet::graph {

// What was found on the way: every blob's shape, every layer's cost, and the bytes that a run needs at one time.
struct CheckedGraph {
    BlobShapes shapes;
    std::vector<LayerCost> costs;
    int64_t peak_bytes;
};

// Checks a graph read with its weights. `inputs` are the shapes that will be fed; `layer_exists` returns whether the
// linked ncnn has a layer type; `outputs` are blobs that are extracted, and that no layer may read; `inner` are other
// blobs that must exist. Throws GraphError, one sentence naming file, line and layer, at the first thing that is wrong.
CheckedGraph check_graph(const Graph& graph, const NamedShapes& inputs,
                         const std::function<bool(const std::string&)>& layer_exists,
                         const std::vector<std::string>& outputs, const Limits& limits,
                         const std::vector<std::string>& inner = {});

// For every blob of `expected`: throws GraphError where it has another shape.
void check_output_shapes(const Graph& graph, const BlobShapes& found, const NamedShapes& expected);

}  // namespace pocketdet::graph
