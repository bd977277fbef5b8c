// The rules for ncnn graphs.
#include <nanobind/stl/string.h>

#include "arrays.h"
#include "check_graph.h"
#include "check_weights.h"
#include "feature_mask.h"
#include "graph_error.h"
#include "graph_objects.h"
#include "layer_types.h"
#include "param_text.h"
#include "utf8.h"
#include "weight_file.h"
#include "weight_slots.h"

namespace pocketdet::python {

using namespace nb::literals;

namespace {

// A tuple of what graph_objects.h makes of the arguments.
template <typename... Items>
nb::tuple row(Items&&... items) {
    return nb::make_tuple(std::forward<Items>(items)...);
}

nb::list names_to_python(const std::vector<std::string>& names) {
    nb::list result;
    for (const std::string& name : names) result.append(str_of(name));
    return result;
}

nb::list bound_layer_types() {
    nb::list result;
    for (const graph::LayerType& type : graph::layer_types()) {
        nb::dict params;
        for (const graph::LayerParam& param : type.params()) params[str_of(param.name)] = param.id;
        result.append(row(type.name, params, row(type.inputs.least, type.inputs.most),
                          row(type.outputs.least, type.outputs.most)));
    }
    return result;
}

nb::dict bound_limits() {
    const graph::Limits limits;
    nb::dict result;
    result["layers"] = limits.layers;
    result["blobs"] = limits.blobs;
    result["depth"] = limits.depth;
    result["elements_per_blob"] = limits.elements_per_blob;
    result["elements_in_all"] = limits.elements_in_all;
    result["memory_bytes"] = limits.memory_bytes;
    result["weight_bytes"] = limits.weight_bytes;
    result["macs"] = limits.macs;
    return result;
}

graph::Limits limits_of(nb::handle limits) {
    const auto number = [limits](const char* name) { return nb::cast<int64_t>(limits.attr(name)); };
    graph::Limits result;
    result.layers = number("layers");
    result.blobs = number("blobs");
    result.depth = number("depth");
    result.elements_per_blob = number("elements_per_blob");
    result.elements_in_all = number("elements_in_all");
    result.memory_bytes = number("memory_bytes");
    result.weight_bytes = number("weight_bytes");
    result.macs = number("macs");
    return result;
}

nb::tuple layer_to_python(const graph::Layer& layer, std::string_view text) {
    nb::dict params;
    for (const graph::Param& param : layer.params) params[nb::int_(param.id)] = object_of(param.value);
    return row(str_of(layer.type), str_of(layer.name), names_to_python(layer.inputs), names_to_python(layer.outputs),
               params, str_of(text), str_of(layer.origin));
}

nb::tuple bound_read_param(nb::str text, nb::str source) {
    const std::string bytes = text_of(text);
    const graph::ParamText read = graph::read_param_text(bytes, text_of(source));
    nb::list layers;
    for (size_t i = 0; i < read.lines.size(); ++i) {
        layers.append(layer_to_python(read.graph.layers[i], read.lines[i]));
    }
    const graph::Header& header = *read.graph.header;
    return row(row(str_of(read.header), header.declared_layers, header.declared_blobs, header.found_layers,
                   header.found_blobs),
               layers, str_of(read.trailer));
}

nb::tuple bound_read_line(nb::str text, nb::str origin) {
    const std::string line = text_of(text);
    const graph::Layer layer = graph::read_layer(line, text_of(origin));
    nb::dict fields;
    for (const graph::Param& param : layer.params) fields[nb::int_(param.id)] = str_of(param.text);
    return row(layer_to_python(layer, line), fields);
}

nb::list bound_weight_slots(nb::handle layer) {
    nb::list result;
    for (const graph::Slot& slot : graph::weight_slots(layer_of(layer))) {
        result.append(row(str_of(slot.role), tuple_of(slot.shape), slot.tagged));
    }
    return result;
}

// Rows of (role, shape, storage, tag, place of the table or -1, place of the data, its bytes, bytes with padding).
nb::list bound_read_weights(nb::handle layers, nb::handle data, nb::str source) {
    Buffers buffers;
    const Py_buffer& view = buffers.add(data);
    const auto* start = static_cast<const uint8_t*>(view.buf);
    graph::Graph read;
    for (const nb::handle layer : layers) read.layers.push_back(layer_of(layer));
    graph::read_weights(read, start, static_cast<size_t>(view.len), text_of(source));
    nb::list result;
    for (const graph::Layer& layer : read.layers) {
        nb::list weights;
        for (const graph::Weight& weight : layer.weights) {
            const auto bytes = static_cast<size_t>(graph::elements_of(weight.shape)) * bytes_of(weight.storage);
            weights.append(row(str_of(weight.role), tuple_of(weight.shape), name_of(weight.storage), weight.tag,
                               weight.table == nullptr ? std::ptrdiff_t{-1} : weight.table - start, weight.data - start,
                               bytes, (bytes + 3) / 4 * 4));
        }
        result.append(weights);
    }
    return result;
}

nb::dict shapes_to_python(const graph::NamedShapes& shapes) {
    nb::dict result;
    for (const auto& [name, shape] : shapes) result[str_of(name)] = tuple_of(shape);
    return result;
}

nb::dict bound_infer_shapes(nb::handle graph, nb::dict inputs, bool partial) {
    return shapes_to_python(graph::infer_shapes(graph_of(graph), named_shapes_of(inputs), partial).all());
}

nb::list costs_to_python(const std::vector<graph::LayerCost>& costs) {
    nb::list result;
    for (const graph::LayerCost& cost : costs) {
        result.append(row(cost.macs ? nb::object(nb::int_(*cost.macs)) : nb::none(), cost.parameters));
    }
    return result;
}

// A blob of a shape that no layer takes is one whose shape is not known.
nb::list bound_count_costs(nb::handle graph, nb::dict shapes) {
    graph::BlobShapes known;
    for (const auto& [name, shape] : named_shapes_of(shapes)) {
        if (graph::is_blob_shape(shape)) known.set(name, shape);
    }
    return costs_to_python(graph::count_costs(graph_of(graph), known));
}

nb::tuple bound_check_graph(nb::handle graph, nb::dict inputs, nb::callable layer_exists, nb::handle outputs,
                            nb::handle inner, nb::handle limits) {
    Buffers buffers;
    const auto exists = [&layer_exists](const std::string& type) {
        return nb::cast<bool>(nb::bool_(layer_exists(str_of(type))));
    };
    const graph::CheckedGraph checked = graph::check_graph(graph_of(graph, &buffers), named_shapes_of(inputs), exists,
                                                           texts_of(outputs), limits_of(limits), texts_of(inner));
    return row(shapes_to_python(checked.shapes.all()), costs_to_python(checked.costs), checked.peak_bytes);
}

void bound_check_weights(nb::handle graph) {
    Buffers buffers;
    graph::check_weights(graph_of(graph, &buffers));
}

bool bound_has_unprintable(nb::str text) {
    try {
        return has_unprintable(text_of(text));
    } catch (const GraphError&) {
        return true;  // half a character
    }
}

bool bound_gives_fp32(nb::handle layer, int64_t without) {
    if (layer.is_none()) return graph::gives_fp32(nullptr, without);
    const graph::Layer maker = layer_of(layer);
    return graph::gives_fp32(&maker, without);
}

}  // namespace

void bind_graph(nb::module_& module) {
    nb::register_exception_translator([](const std::exception_ptr& pointer, void*) {
        try {
            std::rethrow_exception(pointer);
        } catch (const GraphError& error) {
            const nb::object type = nb::module_::import_("pocketdet.errors").attr("GraphError");
            PyErr_SetString(type.ptr(), error.what());
        }
    });
    module.def("graph_layer_types", &bound_layer_types,
               "The layer types that a graph may have: rows of (name, parameter ids by ncnn's names, (least, most)\n"
               "inputs, (least, most) outputs).");
    module.def("graph_limits", &bound_limits, "The most that a graph may ask for, by name.");
    module.def(
        "read_param", &bound_read_param, "text"_a, "source"_a,
        "Parse the text of a .param file: ((text, declared layers, declared blobs, layers, blobs) of the header,\n"
        "rows of (type, name, inputs, outputs, params, text, origin), text after them).");
    module.def("read_param_line", &bound_read_line, "text"_a, "origin"_a,
               "Parse one layer's line: a row as read_param has it, and the text of every parameter by its id.");
    module.def("weight_slots", &bound_weight_slots, "layer"_a,
               "The weights of a layer in file order: rows of (role, shape, whether it is tagged).");
    module.def("has_known_weights", &graph::has_known_weights, "layer_type"_a,
               "Whether weight_slots knows this layer type.");
    module.def("read_weights", &bound_read_weights, "layers"_a, "data"_a, "source"_a,
               "Walk over the bytes of a .bin file: for every layer rows of (role, shape, storage, tag, place of the\n"
               "table or -1, place of the data, its bytes, its bytes with padding).");
    module.def("infer_shapes", &bound_infer_shapes, "graph"_a, "inputs"_a, "partial"_a, "Shapes of all blobs by name.");
    module.def("count_costs", &bound_count_costs, "graph"_a, "shapes"_a,
               "For every layer (multiply-accumulates or None, parameters).");
    module.def(
        "check_graph", &bound_check_graph, "graph"_a, "inputs"_a, "layer_exists"_a, "outputs"_a, "inner"_a, "limits"_a,
        "Whether ncnn may be given a graph: (shapes, costs as count_costs has them, the most bytes in use at one\n"
        "time).");
    module.def("check_weights", &bound_check_weights, "graph"_a, "Whether all weights fit their layers.");
    module.def(
        "check_feature_masks", [](nb::handle graph) { graph::check_feature_masks(graph_of(graph)); }, "graph"_a,
        "Whether no layer could be given halves as floats.");
    module.def(
        "check_no_int8", [](nb::handle graph) { graph::check_no_int8(graph_of(graph)); }, "graph"_a,
        "Whether no layer announces int8 weights.");
    module.def("has_unprintable", &bound_has_unprintable, "text"_a,
               "Whether a text holds a character that cannot be shown: control, format, surrogate, private use and\n"
               "separator characters, and code points that are none.");
    module.def("gives_fp32", &bound_gives_fp32, nb::arg("layer").none(), "without"_a,
               "Whether what a layer makes is float32 for a reader that lacks the storage bits in `without`.");
}

}  // namespace pocketdet::python
