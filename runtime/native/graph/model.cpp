#include "model.h"

#include <algorithm>
#include <string_view>
#include <unordered_set>

#include "graph_error.h"
#include "message_text.h"
#include "utf8.h"

namespace pocketdet::graph {

namespace {

using Names = std::unordered_set<std::string_view>;

// Appends the names that are not in `seen`, and are not in `hidden`.
void append_new(const std::vector<std::string>& names, const Names& hidden, Names& seen,
                std::vector<std::string>& result) {
    for (const std::string& name : names) {
        if (hidden.count(name) == 0 && seen.insert(name).second) result.push_back(name);
    }
}

}  // namespace

std::string Layer::described(const std::string& problem) const {
    const std::string place = origin.empty() ? "" : origin + ": ";
    return place + shown(type) + " " + quoted(name) + ": " + problem;
}

void Layer::fail(const std::string& problem) const { throw GraphError(described(problem)); }

void Layer::fail_type(int id, const char* expected, const Value& found) const {
    throw ParamTypeError(described("parameter " + std::to_string(id) + " must be " + expected + ", found " +
                                   std::string(first_characters(value_text(found), 60))));
}

const Value* Layer::find(int id) const {
    for (const Param& param : params) {
        if (param.id == id) return &param.value;
    }
    return nullptr;
}

int64_t Layer::int_param(int id, int64_t otherwise) const {
    const Value* value = find(id);
    if (value == nullptr) return otherwise;
    if (const auto* whole = std::get_if<int64_t>(value)) return *whole;
    fail_type(id, "an integer", *value);
}

double Layer::float_param(int id, double otherwise) const {
    const Value* value = find(id);
    if (value == nullptr) return otherwise;
    if (const auto* real = std::get_if<double>(value)) return *real;
    if (const auto* whole = std::get_if<int64_t>(value)) return static_cast<double>(*whole);
    fail_type(id, "a number", *value);
}

Integers Layer::int_array(int id) const {
    const Value* value = find(id);
    if (value == nullptr) return {};
    if (const auto* integers = std::get_if<Integers>(value)) return *integers;
    fail_type(id, "an array of integers", *value);
}

Reals Layer::float_array(int id) const {
    const Value* value = find(id);
    if (value == nullptr) return {};
    if (const auto* reals = std::get_if<Reals>(value)) return *reals;
    if (const auto* integers = std::get_if<Integers>(value)) return Reals(integers->begin(), integers->end());
    fail_type(id, "an array", *value);
}

std::vector<std::string> Graph::blob_names() const {
    std::vector<std::string> result;
    Names seen;
    for (const Layer& layer : layers) {
        append_new(layer.inputs, {}, seen, result);
        append_new(layer.outputs, {}, seen, result);
    }
    return result;
}

std::vector<std::string> Graph::input_names() const {
    std::vector<std::string> result;
    Names seen, made;
    for (const Layer& layer : layers) {
        made.insert(layer.outputs.begin(), layer.outputs.end());
        if (layer.type == "Input") append_new(layer.outputs, {}, seen, result);
    }
    for (const Layer& layer : layers) append_new(layer.inputs, made, seen, result);
    return result;
}

std::vector<std::string> Graph::output_names() const {
    std::vector<std::string> result;
    Names read, seen;
    for (const Layer& layer : layers) read.insert(layer.inputs.begin(), layer.inputs.end());
    for (const Layer& layer : layers) append_new(layer.outputs, read, seen, result);
    return result;
}

void check_header(const Graph& graph) {
    if (!graph.header) return;
    const Header& header = *graph.header;
    if (header.declared_layers == header.found_layers && header.declared_blobs == header.found_blobs) return;
    throw GraphError(graph.label() + ": the header declares " + std::to_string(header.declared_layers) +
                     " layers and " + std::to_string(header.declared_blobs) + " blobs, the file has " +
                     std::to_string(header.found_layers) + " and " + std::to_string(header.found_blobs));
}

}  // namespace pocketdet::graph
