#include "graph_objects.h"

#include <algorithm>
#include <iterator>

#include "graph_error.h"
#include "message_text.h"
#include "numbers.h"
#include "weight_slots.h"

namespace pocketdet::python {

namespace {

constexpr int64_t kIntMin = -2147483648LL, kIntMax = 2147483647LL;

// Saturated where it does not fit.
int64_t integer_of(nb::handle number) {
    int overflow = 0;
    const long long value = PyLong_AsLongLongAndOverflow(number.ptr(), &overflow);
    if (value == -1 && PyErr_Occurred() != nullptr) throw nb::python_error();
    return overflow == 0 ? value : overflow > 0 ? graph::kMost : -graph::kMost;
}

[[noreturn]] void refuse_param(int id, nb::handle value, const char* problem) {
    const std::string text = nb::repr(value).c_str();
    throw GraphError("parameter " + std::to_string(id) + ": " + text.substr(0, 60) + " " + problem);
}

int64_t param_integer(int id, nb::handle value) {
    const int64_t number = integer_of(value);
    if (number < kIntMin || number > kIntMax) refuse_param(id, value, "does not fit 32 bits");
    return number;
}

graph::Value array_of(int id, nb::handle values) {
    graph::Integers integers;
    graph::Reals reals;
    bool is_real = false;
    for (const nb::handle value : values) {
        if (PyLong_Check(value.ptr())) {
            integers.push_back(param_integer(id, value));
            reals.push_back(static_cast<double>(integers.back()));
        } else if (PyFloat_Check(value.ptr())) {
            is_real = true;
            reals.push_back(PyFloat_AsDouble(value.ptr()));
        } else {
            refuse_param(id, value, "is neither an int nor a float");
        }
    }
    if (is_real) return reals;
    return integers;
}

graph::Value value_of(int id, nb::handle value) {
    if (PyLong_Check(value.ptr())) return param_integer(id, value);
    if (PyFloat_Check(value.ptr())) return PyFloat_AsDouble(value.ptr());
    if (PyUnicode_Check(value.ptr())) return text_of(value);
    if (PyTuple_Check(value.ptr())) return array_of(id, value);
    refuse_param(id, value, "is no int, float, str or tuple of them");
}

graph::Storage storage_of(const std::string& name) {
    const auto* found = std::find(std::begin(graph::kStorageNames), std::end(graph::kStorageNames), name);
    if (found == std::end(graph::kStorageNames)) throw GraphError("no storage is called " + graph::quoted(name));
    return static_cast<graph::Storage>(found - std::begin(graph::kStorageNames));
}

graph::Weight weight_of(const std::string& role, nb::handle weight, Buffers& buffers) {
    graph::Weight result;
    result.role = role;
    result.storage = storage_of(text_of(weight.attr("storage")));
    const nb::object data = weight.attr("data");
    result.shape = shape_of(data.attr("shape"));
    const Py_buffer& view = buffers.add(data);
    result.data = static_cast<const uint8_t*>(view.buf);
    size_t table_bytes = 1024;
    if (result.storage == graph::Storage::table256) {
        const Py_buffer& table = buffers.add(weight.attr("table"));
        result.table = static_cast<const uint8_t*>(table.buf);
        table_bytes = static_cast<size_t>(table.len);
    }
    const int64_t bytes =
        graph::multiply(graph::elements_of(result.shape), static_cast<int64_t>(graph::bytes_of(result.storage)));
    if (bytes != view.len || table_bytes != 1024) throw GraphError("the data of " + role + " are not what it says");
    return result;
}

}  // namespace

Buffers::~Buffers() {
    for (Py_buffer* view : views_) {
        PyBuffer_Release(view);
        delete view;
    }
}

const Py_buffer& Buffers::add(nb::handle array) {
    auto view = std::make_unique<Py_buffer>();
    if (PyObject_GetBuffer(array.ptr(), view.get(), PyBUF_SIMPLE) != 0) {
        PyErr_Clear();  // strided
        const nb::object copy = nb::module_::import_("numpy").attr("ascontiguousarray")(array);
        if (PyObject_GetBuffer(copy.ptr(), view.get(), PyBUF_SIMPLE) != 0) throw nb::python_error();
    }
    views_.push_back(view.release());
    return *views_.back();
}

std::string text_of(nb::handle text) {
    Py_ssize_t size = 0;
    const char* bytes = PyUnicode_AsUTF8AndSize(text.ptr(), &size);
    if (bytes == nullptr && PyErr_ExceptionMatches(PyExc_UnicodeError) == 0) throw nb::python_error();
    if (bytes == nullptr) {
        PyErr_Clear();
        throw GraphError("a text with half a character, which UTF-8 does not have");
    }
    return {bytes, static_cast<size_t>(size)};
}

std::vector<std::string> texts_of(nb::handle texts) {
    std::vector<std::string> result;
    for (const nb::handle text : texts) result.push_back(text_of(text));
    return result;
}

nb::str str_of(std::string_view text) { return nb::str(text.data(), text.size()); }

graph::Shape shape_of(nb::handle sizes) {
    graph::Shape shape;
    for (const nb::handle size : sizes) shape.push_back(integer_of(size));
    return shape;
}

graph::NamedShapes named_shapes_of(nb::handle shapes) {
    graph::NamedShapes result;
    for (const auto& [name, shape] : nb::borrow<nb::dict>(shapes)) {
        result.emplace_back(text_of(name), shape_of(shape));
    }
    return result;
}

nb::tuple tuple_of(const graph::Shape& shape) {
    const nb::object tuple = nb::steal(PyTuple_New(static_cast<Py_ssize_t>(shape.size())));
    for (size_t i = 0; i < shape.size(); ++i) {
        PyTuple_SetItem(tuple.ptr(), static_cast<Py_ssize_t>(i), PyLong_FromLongLong(shape[i]));
    }
    return nb::borrow<nb::tuple>(tuple);
}

nb::object object_of(const graph::Value& value) {
    if (const auto* whole = std::get_if<int64_t>(&value)) return nb::int_(*whole);
    if (const auto* real = std::get_if<double>(&value)) return nb::float_(*real);
    if (const auto* text = std::get_if<std::string>(&value)) return str_of(*text);
    nb::list elements;
    if (const auto* integers = std::get_if<graph::Integers>(&value)) {
        for (const int64_t element : *integers) elements.append(element);
    } else {
        for (const double element : std::get<graph::Reals>(value)) elements.append(element);
    }
    return nb::tuple(elements);
}

graph::Layer layer_of(nb::handle layer, Buffers* buffers) {
    graph::Layer result;
    result.type = text_of(layer.attr("type"));
    result.name = text_of(layer.attr("name"));
    result.origin = text_of(layer.attr("origin"));
    try {
        result.inputs = texts_of(layer.attr("inputs"));
        result.outputs = texts_of(layer.attr("outputs"));
        for (const auto& [key, value] : nb::borrow<nb::dict>(layer.attr("params"))) {
            const int64_t id = integer_of(key);
            if (id < 0 || id > graph::kMaxParamId) {
                throw GraphError("parameter id " + std::to_string(id) + " is outside 0..31");
            }
            result.params.push_back({static_cast<int>(id), value_of(static_cast<int>(id), value), ""});
        }
        if (buffers == nullptr) return result;
        for (const auto& [role, weight] : nb::borrow<nb::dict>(layer.attr("weights"))) {
            result.weights.push_back(weight_of(text_of(role), weight, *buffers));
        }
    } catch (const GraphError& problem) {
        result.fail(problem.what());
    }
    return result;
}

graph::Graph graph_of(nb::handle graph, Buffers* buffers) {
    graph::Graph result;
    result.source = text_of(graph.attr("source"));
    for (const nb::handle layer : graph.attr("layers")) result.layers.push_back(layer_of(layer, buffers));
    const nb::object header = graph.attr("header");
    if (header.is_none()) return result;
    result.header = graph::Header{integer_of(header.attr("declared_layers")), integer_of(header.attr("declared_blobs")),
                                  integer_of(header.attr("found_layers")), integer_of(header.attr("found_blobs"))};
    return result;
}

}  // namespace pocketdet::python
