#include "infer_shapes.h"

#include <algorithm>
#include <unordered_set>

#include "graph_error.h"
#include "layer_types.h"
#include "message_text.h"
#include "weight_slots.h"

namespace pocketdet::graph {

namespace {

using Names = std::unordered_set<std::string_view>;

void expect_count(const Layer& layer, const char* what, size_t found, Count expected) {
    if (found >= static_cast<size_t>(expected.least) && found <= static_cast<size_t>(expected.most)) return;
    const std::string least = std::to_string(expected.least);
    const std::string wanted = expected.least == expected.most ? least : least + ".." + std::to_string(expected.most);
    layer.fail("takes " + wanted + " " + what + " blobs, found " + std::to_string(found));
}

// Whether a rule understands all parameters of a layer.
bool knows_params(const LayerType& type, const Layer& layer) {
    return std::all_of(layer.params.begin(), layer.params.end(), [&type](const Param& param) {
        return type.has_param(param.id) || param.id == kShapeHints || param.id == kFeatureMask;
    });
}

class Inference {
public:
    Inference(const NamedShapes& inputs, bool partial) : shapes_(inputs), partial_(partial) {
        for (const auto& [name, shape] : inputs) fed_.insert(name);
    }

    void add(const Layer& layer) {
        if (layer.type == "Input") {
            add_input(layer);
        } else if (layer.type == "MemoryData") {
            add_constant(layer);
        } else {
            add_by_rule(layer);
        }
    }

    BlobShapes result() { return std::move(shapes_); }

private:
    void make(const Layer& layer, const std::string& name, const Shape* shape) {
        if (fed_.count(name) == 0 && shapes_.find(name) != nullptr) {
            layer.fail("makes the blob " + quoted(name) + " a second time");
        }
        if (shape != nullptr) shapes_.set(name, *shape);
    }

    static void expect_no_input(const Layer& layer) {
        if (!layer.inputs.empty()) layer.fail("takes no input, found " + std::to_string(layer.inputs.size()));
    }

    void add_constant(const Layer& layer) {
        expect_no_input(layer);
        const Slots slots = weight_slots(layer);
        if (slots.empty() || layer.outputs.size() != 1) layer.fail("must have a size and one output");
        expect_blob_shape(layer, slots[0].shape);
        make(layer, layer.outputs[0], &slots[0].shape);
    }

    // For every output the given shape, or else the written one.
    void add_input(const Layer& layer) {
        expect_no_input(layer);
        const int64_t w = int_param(layer, "w", 0), h = int_param(layer, "h", 0), c = int_param(layer, "c", 0);
        const Shape written = written_shape(w, h, c, int_param(layer, "d", 0));
        std::vector<const Shape*> found;
        for (const std::string& name : layer.outputs) {
            const Shape* given = shapes_.find(name);
            found.push_back(given == nullptr && w != 0 ? &written : given);
        }
        const auto missing = std::find(found.begin(), found.end(), nullptr);
        if (missing != found.end() && !partial_) {
            const std::string& name = layer.outputs[static_cast<size_t>(missing - found.begin())];
            layer.fail("the shape of " + quoted(name) + " is neither written nor given");
        }
        Shapes outputs;
        for (const Shape* shape : found) {
            if (shape != nullptr) expect_blob_shape(layer, *shape);
            outputs.push_back(shape == nullptr ? Shape{} : *shape);
        }
        for (size_t i = 0; i < outputs.size(); ++i) {
            make(layer, layer.outputs[i], found[i] == nullptr ? nullptr : &outputs[i]);
        }
    }

    void add_by_rule(const Layer& layer) {
        const LayerType* type = find_layer_type(layer.type);
        const std::string* missing = nullptr;
        for (const std::string& name : layer.inputs) {
            if (missing == nullptr && shapes_.find(name) == nullptr) missing = &name;
        }
        if (partial_ && (missing != nullptr || type == nullptr || !knows_params(*type, layer))) return;
        if (missing != nullptr) layer.fail("reads the blob " + quoted(*missing) + ", which no earlier layer makes");
        if (type == nullptr) layer.fail("the layer type " + shown(layer.type) + " has no shape rule");
        const auto is_fed = [this](const std::string& name) { return fed_.count(name) != 0; };
        if (std::any_of(layer.outputs.begin(), layer.outputs.end(), is_fed)) {
            layer.fail("makes the blob " + quoted(layer.outputs[0]) + ", which is an input");
        }
        expect_count(layer, "input", layer.inputs.size(), type->inputs);
        expect_count(layer, "output", layer.outputs.size(), type->outputs);
        Shapes inputs;
        for (const std::string& name : layer.inputs) inputs.push_back(shapes_.at(name));
        for (const Shape& shape : inputs) expect_blob_shape(layer, shape);
        Shapes outputs;
        try {
            outputs = type->rule(layer, inputs);
        } catch (const ParamTypeError&) {
            if (partial_) return;
            throw;
        }
        for (const Shape& shape : outputs) expect_blob_shape(layer, shape);
        if (outputs.size() != layer.outputs.size()) {
            layer.fail("gives " + std::to_string(outputs.size()) + " blobs and declares " +
                       std::to_string(layer.outputs.size()));
        }
        for (size_t i = 0; i < outputs.size(); ++i) make(layer, layer.outputs[i], &outputs[i]);
    }

    BlobShapes shapes_;
    Names fed_;
    bool partial_;
};

}  // namespace

BlobShapes::BlobShapes(const NamedShapes& shapes) {
    for (const auto& [name, shape] : shapes) set(name, shape);
}

const Shape* BlobShapes::find(const std::string& blob) const {
    const auto place = places_.find(blob);
    return place == places_.end() ? nullptr : &shapes_[place->second].second;
}

void BlobShapes::set(const std::string& blob, const Shape& shape) {
    const auto [place, is_new] = places_.emplace(blob, shapes_.size());
    if (is_new) {
        shapes_.emplace_back(blob, shape);
    } else {
        shapes_[place->second].second = shape;
    }
}

BlobShapes infer_shapes(const Graph& graph, const NamedShapes& inputs, bool partial) {
    Inference inference(inputs, partial);
    for (const Layer& layer : graph.layers) inference.add(layer);
    return inference.result();
}

}  // namespace pocketdet::graph
