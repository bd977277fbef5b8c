// Shapes of every blob of a graph from the shapes of its inputs, layer by layer.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>

#include "model.h"

namespace pocketdet::graph {

// Shapes by blob name, in the order in which they were found: the inputs first.
class BlobShapes {
public:
    BlobShapes() = default;
    explicit BlobShapes(const NamedShapes& shapes);

    const NamedShapes& all() const { return shapes_; }
    const Shape* find(const std::string& blob) const;  // null where it is not known
    const Shape& at(const std::string& blob) const { return *find(blob); }
    void set(const std::string& blob, const Shape& shape);

private:
    NamedShapes shapes_;
    std::unordered_map<std::string, size_t> places_;
};

// `inputs` are the shapes of the blobs that a caller feeds; an Input layer with a written size needs none. With
// `partial`, layers without a shape rule or with parameters that it does not know, and all that depends on them, are
// left out; otherwise the former are refused and the latter ignored (check_graph refuses them). Throws GraphError
// naming the first layer whose inputs are missing, do not fit it, or that is not understood.
BlobShapes infer_shapes(const Graph& graph, const NamedShapes& inputs, bool partial = false);

}  // namespace pocketdet::graph
