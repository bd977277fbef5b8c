#include "graph_check.h"

#include <algorithm>
#include <string_view>

#include "check_graph.h"
#include "check_weights.h"
#include "errors.h"
#include "network.h"
#include "param_text.h"
#include "weight_file.h"

namespace pocketdet {

namespace {

constexpr int kFewerRois[] = {1, 7};

graph::Shape shape_of(const TensorSpec& tensor, int rois) {
    graph::Shape shape;
    for (const int side : tensor.shape) shape.push_back(side == kAnyCount ? rois : side);
    return shape;
}

graph::NamedShapes outputs_of(const GraphSpec& spec, int rois) {
    graph::NamedShapes shapes;
    for (const TensorSpec& output : spec.outputs) shapes.emplace_back(output.blob, shape_of(output, rois));
    return shapes;
}

void check(const std::vector<uint8_t>& param, const std::vector<uint8_t>& weights, const GraphSpec& spec, int rois) {
    if (param.size() > graph::kMaxParamBytes) {
        throw GraphError(spec.param + ": larger than " + std::to_string(graph::kMaxParamBytes) +
                         " bytes, the most that is read");
    }
    const std::string_view text(reinterpret_cast<const char*>(param.data()), param.size());
    graph::Graph network = graph::read_param_text(text, spec.param).graph;
    graph::check_header(network);
    graph::read_weights(network, weights.data(), weights.size(), spec.bin);
    std::vector<std::string> outputs;
    for (const TensorSpec& output : spec.outputs) outputs.push_back(output.blob);
    const auto input = [&spec](int count) {
        return graph::NamedShapes{{spec.input.blob, shape_of(spec.input, count)}};
    };
    const graph::CheckedGraph checked = graph::check_graph(network, input(rois), ncnn_has_layer, outputs, {});
    if (!spec.has_int8) graph::check_no_int8(network);
    graph::check_output_shapes(network, checked.shapes, outputs_of(spec, rois));
    const std::vector<int>& sides = spec.input.shape;
    if (std::find(sides.begin(), sides.end(), kAnyCount) == sides.end()) return;
    for (const int fewer : kFewerRois) {
        graph::check_output_shapes(network, graph::infer_shapes(network, input(fewer)), outputs_of(spec, fewer));
    }
}

}  // namespace

void check_network(const Bundle& bundle, const GraphSpec& spec, int rois) {
    try {
        check(bundle.graph_files.at(spec.param), bundle.graph_files.at(spec.bin), spec, rois);
    } catch (const GraphError& error) {
        throw GraphError(bundle.folder.path() + ": " + error.what());
    }
}

}  // namespace pocketdet
