// Graphs, layers and weights of pocketdet.runtime.ncnn_graph as those of the C++ rules.
#pragma once

#include <nanobind/nanobind.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "model.h"

namespace nb = nanobind;

namespace pocketdet::python {

// Views of the memory of numpy arrays; released with the object.
class Buffers {
public:
    Buffers() = default;
    ~Buffers();
    Buffers(const Buffers&) = delete;
    Buffers& operator=(const Buffers&) = delete;

    // The bytes of an array or of any object with a buffer, in the order of its elements.
    const Py_buffer& add(nb::handle array);

private:
    std::vector<Py_buffer*> views_;
};

// Text as UTF-8. Throws GraphError for a string that has none, TypeError (nb::python_error) for another object.
std::string text_of(nb::handle text);
std::vector<std::string> texts_of(nb::handle texts);
nb::str str_of(std::string_view text);

graph::Shape shape_of(nb::handle sizes);
graph::NamedShapes named_shapes_of(nb::handle shapes);
nb::tuple tuple_of(const graph::Shape& shape);

nb::object object_of(const graph::Value& value);

// Without weights, or with views of them that `buffers` keeps. Throws GraphError for a parameter that ncnn cannot hold.
graph::Layer layer_of(nb::handle layer, Buffers* buffers = nullptr);
graph::Graph graph_of(nb::handle graph, Buffers* buffers = nullptr);

}  // namespace pocketdet::python
