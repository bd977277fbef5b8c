#include "check_graph.h"

#include <algorithm>

#include "check_weights.h"
#include "feature_mask.h"
#include "graph_error.h"
#include "hints.h"
#include "layer_types.h"
#include "live_memory.h"
#include "message_text.h"
#include "wiring.h"

namespace pocketdet::graph {

namespace {

void check_params(const Layer& layer) {
    const LayerType* type = find_layer_type(layer.type);
    if (type == nullptr) {
        layer.fail("the layer type " + shown(layer.type) + " is not supported by the checks, so it is not run");
    }
    int unknown = kMaxParamId + 1;
    for (const Param& param : layer.params) {
        if (type->has_param(param.id) || param.id == kShapeHints || param.id == kFeatureMask) continue;
        unknown = std::min(unknown, param.id);
    }
    if (unknown <= kMaxParamId) {
        layer.fail("parameter " + std::to_string(unknown) + " is not one that " + layer.type + " has");
    }
}

void check_inputs(const Graph& graph, const NamedShapes& inputs) {
    const std::vector<std::string> expected = graph.input_names();
    std::vector<std::string> given;
    for (const auto& [name, shape] : inputs) given.push_back(name);
    std::vector<std::string> sorted_expected = expected, sorted_given = given;
    std::sort(sorted_expected.begin(), sorted_expected.end());
    std::sort(sorted_given.begin(), sorted_given.end());
    if (sorted_expected == sorted_given) return;
    throw GraphError(graph.label() + ": its inputs are " + list_text(expected) + " and shapes are given for " +
                     list_text(given));
}

}  // namespace

CheckedGraph check_graph(const Graph& graph, const NamedShapes& inputs,
                         const std::function<bool(const std::string&)>& layer_exists,
                         const std::vector<std::string>& outputs, const Limits& limits,
                         const std::vector<std::string>& inner) {
    check_counts(graph, limits);
    check_names(graph);
    for (const Layer& layer : graph.layers) {
        if (!layer_exists(layer.type)) layer.fail("the installed ncnn has no layer type " + shown(layer.type));
        check_params(layer);
    }
    check_wiring(graph, limits);
    check_feature_masks(graph);
    check_inputs(graph, inputs);
    CheckedGraph checked{infer_shapes(graph, inputs), {}, 0};
    check_sizes(graph, checked.shapes, limits);
    for (const Layer& layer : graph.layers) check_hints(layer, checked.shapes);
    std::vector<std::string> wanted = outputs;
    wanted.insert(wanted.end(), inner.begin(), inner.end());
    check_present(graph, wanted);
    check_unread(graph, outputs);
    check_weights(graph);
    check_weight_memory(graph, limits);
    check_element_types(graph, wanted);
    checked.costs = count_costs(graph, checked.shapes);
    checked.peak_bytes = check_memory(graph, checked.shapes, outputs, limits);
    check_work(graph, checked.shapes, checked.costs, limits);
    return checked;
}

void check_output_shapes(const Graph& graph, const BlobShapes& found, const NamedShapes& expected) {
    for (const auto& [blob, shape] : expected) {
        const Shape* made = found.find(blob);
        if (made != nullptr && *made == shape) continue;
        throw GraphError(graph.label() + ": blob " + quoted(blob) + " has the shape " +
                         (made == nullptr ? "None" : tuple_text(*made)) + ", the manifest says " + tuple_text(shape));
    }
}

}  // namespace pocketdet::graph
