#include "wiring.h"

#include <algorithm>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include "graph_error.h"
#include "message_text.h"

namespace pocketdet::graph {

namespace {

using Names = std::unordered_set<std::string_view>;

}  // namespace

void check_counts(const Graph& graph, const Limits& limits) {
    check_header(graph);
    const auto layers = static_cast<int64_t>(graph.layers.size());
    const auto blobs = static_cast<int64_t>(graph.blob_names().size());
    if (layers >= 1 && layers <= limits.layers && blobs >= 1 && blobs <= limits.blobs) return;
    throw GraphError(graph.label() + ": " + std::to_string(layers) + " layers and " + std::to_string(blobs) +
                     " blobs, allowed are 1.." + std::to_string(limits.layers) + " and 1.." +
                     std::to_string(limits.blobs));
}

void check_names(const Graph& graph) {
    Names layers, blobs;
    for (const Layer& layer : graph.layers) {
        if (!layers.insert(layer.name).second) layer.fail("has the name of an earlier layer");
        for (const std::string& blob : layer.outputs) {
            if (!blobs.insert(blob).second) layer.fail("makes the blob " + quoted(blob) + " a second time");
        }
    }
}

void check_wiring(const Graph& graph, const Limits& limits) {
    std::unordered_map<std::string_view, int64_t> depths;  // of the maker of a blob
    std::unordered_map<std::string_view, const Layer*> readers;
    for (const Layer& layer : graph.layers) {
        if (layer.outputs.empty()) layer.fail("has no output");
        int64_t depth = 0;
        for (const std::string& blob : layer.inputs) {
            const auto maker = depths.find(blob);
            if (maker == depths.end()) {
                layer.fail("reads the blob " + quoted(blob) + ", which no earlier layer makes");
            }
            const auto [reader, is_first] = readers.emplace(blob, &layer);
            if (!is_first) {
                layer.fail("reads the blob " + quoted(blob) + ", which " + quoted(reader->second->name) +
                           " reads already; a Split is needed");
            }
            depth = std::max(depth, maker->second);
        }
        if (++depth > limits.depth) {
            layer.fail("is " + std::to_string(depth) + " layers away from an input, allowed are " +
                       std::to_string(limits.depth));
        }
        for (const std::string& blob : layer.outputs) depths[blob] = depth;
    }
}

void check_present(const Graph& graph, const std::vector<std::string>& wanted) {
    Names made;
    for (const Layer& layer : graph.layers) made.insert(layer.outputs.begin(), layer.outputs.end());
    for (const std::string& blob : wanted) {
        if (made.count(blob) != 0) continue;
        throw GraphError(graph.label() + ": has no blob " + quoted(blob) + ", its outputs are " +
                         list_text(graph.output_names()));
    }
}

void check_unread(const Graph& graph, const std::vector<std::string>& outputs) {
    const Names given(outputs.begin(), outputs.end());
    for (const Layer& layer : graph.layers) {
        for (const std::string& blob : layer.inputs) {
            if (given.count(blob) == 0) continue;
            layer.fail("reads the blob " + quoted(blob) + ", which is an output of the graph; a Split is needed");
        }
    }
}

}  // namespace pocketdet::graph
