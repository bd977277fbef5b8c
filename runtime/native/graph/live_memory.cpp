#include "live_memory.h"

#include <algorithm>
#include <string_view>
#include <unordered_map>

#include "cost.h"
#include "message_text.h"
#include "numbers.h"
#include "weight_slots.h"

namespace pocketdet::graph {

namespace {

// A run of a graph, layer by layer in the order of ncnn's Net::forward_layer.
class Run {
public:
    Run(const Graph& graph, const BlobShapes& shapes, const Limits& limits)
        : graph_(graph), shapes_(shapes), limits_(limits), is_done_(graph.layers.size()) {
        for (size_t i = 0; i < graph.layers.size(); ++i) {
            for (const std::string& blob : graph.layers[i].outputs) makers_[blob] = i;
        }
        for (size_t i = 0; i < graph.layers.size(); ++i) {
            if (graph.layers[i].type == "Input") run_layer(i);
        }
    }

    // Everything that the blob needs, then its maker, with a stack of our own in place of recursion.
    void extract(const std::string& blob) {
        struct Step {
            size_t layer, next_input;
        };
        std::vector<Step> steps{{makers_.at(blob), 0}};
        while (!steps.empty()) {
            Step& step = steps.back();
            const Layer& layer = graph_.layers[step.layer];
            if (!is_done_[step.layer] && step.next_input < layer.inputs.size()) {
                steps.push_back({makers_.at(layer.inputs[step.next_input++]), 0});
                continue;
            }
            if (!is_done_[step.layer]) run_layer(step.layer);
            steps.pop_back();
        }
    }

    int64_t peak() const { return peak_; }

private:
    // Memory of a blob; the outputs of a Split share that of its input.
    struct Block {
        int64_t bytes = 0;
        int64_t users = 0;
    };

    int64_t bytes_of(const std::string& blob) const { return multiply(allocated_elements(shapes_.at(blob)), 4); }

    void run_layer(size_t index) {
        const Layer& layer = graph_.layers[index];
        is_done_[index] = true;
        if (layer.type == "Split") {
            const size_t block = blocks_of_.at(layer.inputs[0]);
            for (const std::string& blob : layer.outputs) use(blob, block);
        } else {
            for (const std::string& blob : layer.outputs) {
                blocks_.push_back({bytes_of(blob), 0});
                live_ = add(live_, blocks_.back().bytes);
                use(blob, blocks_.size() - 1);
            }
        }
        Shapes inputs, outputs;
        for (const std::string& blob : layer.inputs) inputs.push_back(shapes_.at(blob));
        for (const std::string& blob : layer.outputs) outputs.push_back(shapes_.at(blob));
        const int64_t needed = add(live_, multiply(workspace_of(layer, inputs, outputs), 4));
        peak_ = std::max(peak_, needed);
        if (needed > limits_.memory_bytes) {
            layer.fail("at this layer blobs and workspace need " + std::to_string(needed) +
                       " bytes at one time, allowed are " + std::to_string(limits_.memory_bytes));
        }
        for (const std::string& blob : layer.inputs) release(blob);
    }

    void use(const std::string& blob, size_t block) {
        blocks_of_[blob] = block;
        ++blocks_[block].users;
    }

    void release(const std::string& blob) {
        Block& block = blocks_[blocks_of_.at(blob)];
        if (--block.users == 0) live_ -= block.bytes;
    }

    const Graph& graph_;
    const BlobShapes& shapes_;
    const Limits& limits_;
    std::vector<bool> is_done_;
    std::unordered_map<std::string_view, size_t> makers_, blocks_of_;
    std::vector<Block> blocks_;
    int64_t live_ = 0, peak_ = 0;
};

}  // namespace

void check_sizes(const Graph& graph, const BlobShapes& shapes, const Limits& limits) {
    int64_t total = 0;
    for (const Layer& layer : graph.layers) {
        for (const std::string& blob : layer.outputs) {
            const Shape& shape = shapes.at(blob);
            const int64_t elements = elements_of(shape);
            if (layer.type != "Split") total = add(total, elements);  // outputs of a Split share one allocation
            const bool is_large = elements > limits.elements_per_blob;
            if (!is_large && total <= limits.elements_in_all) continue;
            layer.fail("the blob " + quoted(blob) + " of shape " + tuple_text(shape) +
                       " makes the graph larger than allowed: " + std::to_string(is_large ? elements : total) +
                       " elements" + (is_large ? "" : " in all") + ", allowed are " +
                       std::to_string(is_large ? limits.elements_per_blob : limits.elements_in_all));
        }
    }
}

int64_t check_memory(const Graph& graph, const BlobShapes& shapes, const std::vector<std::string>& outputs,
                     const Limits& limits) {
    Run run(graph, shapes, limits);
    for (const std::string& blob : outputs.empty() ? graph.output_names() : outputs) run.extract(blob);
    return run.peak();
}

}  // namespace pocketdet::graph
