#include "shape_rules.h"

#include <algorithm>

#include "layer_params.h"
#include "message_text.h"
#include "numbers.h"
#include "weight_slots.h"

namespace pocketdet::graph {

namespace {

constexpr int64_t kMaxElements = int64_t{1} << 28;

}  // namespace

bool is_blob_shape(const Shape& shape) {
    const bool has_sizes = !shape.empty() && shape.size() <= 4 && *std::min_element(shape.begin(), shape.end()) >= 1;
    return has_sizes && elements_of(shape) <= kMaxElements;
}

void expect_blob_shape(const Layer& layer, const Shape& shape) {
    if (is_blob_shape(shape)) return;
    layer.fail("would make a blob of shape " + tuple_text(shape) + ", which is empty or too large");
}

void expect_dims(const Layer& layer, const Shape& shape, std::initializer_list<size_t> dims) {
    if (std::find(dims.begin(), dims.end(), shape.size()) != dims.end()) return;
    std::string wanted;
    for (const size_t count : dims) wanted += (wanted.empty() ? "" : " or ") + std::to_string(count);
    layer.fail("takes an input of " + wanted + " dimensions, found " + tuple_text(shape));
}

int64_t expect_range(const Layer& layer, const std::string& what, int64_t value, int64_t low, int64_t high) {
    if (value < low || value > high) {
        layer.fail(what + " must be " + std::to_string(low) + ".." + std::to_string(high) + ", found " +
                   std::to_string(value));
    }
    return value;
}

size_t axis_of(const Layer& layer, int64_t axis, size_t dims) {
    const auto count = static_cast<int64_t>(dims);
    expect_range(layer, "an axis of " + std::to_string(dims) + " dimensions", axis, -count, count - 1);
    return static_cast<size_t>(axis < 0 ? axis + count : axis);
}

void check_activation(const Layer& layer) {
    constexpr size_t kNeeded[] = {0, 0, 1, 2, 0, 0, 2};
    const int64_t kind = expect_range(layer, "the fused activation", int_param(layer, "activation_type", 0), 0, 6);
    const size_t needed = kNeeded[kind];
    if (float_array(layer, "activation_params").size() < needed) {
        layer.fail("the fused activation " + std::to_string(kind) + " needs " + std::to_string(needed) +
                   " values in parameter 10");
    }
}

}  // namespace pocketdet::graph
