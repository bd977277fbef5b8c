// Layers that give the same values another shape: Reshape, Flatten, Permute, Squeeze, ExpandDims.
#include <algorithm>
#include <array>
#include <string_view>

#include "layer_params.h"
#include "message_text.h"
#include "numbers.h"
#include "shape_rules.h"
#include "weight_slots.h"

namespace pocketdet::graph {

namespace {

// Order of the output's axes from the innermost outwards, by Permute's parameter 0 (permute.cpp).
constexpr std::string_view kPermute2d[] = {"wh", "hw"};
constexpr std::string_view kPermute3d[] = {"whc", "hwc", "wch", "cwh", "hcw", "chw"};
constexpr std::string_view kPermute4d[] = {
    "whdc", "hwdc", "wdhc", "dwhc", "hdwc", "dhwc", "whcd", "hwcd", "wchd", "cwhd", "hcwd", "chwd",
    "wdch", "dwch", "wcdh", "cwdh", "dcwh", "cdwh", "hdcw", "dhcw", "hcdw", "chdw", "dchw", "cdhw",
};
constexpr int64_t kOrders[] = {0, 1, 2, 6, 24};  // by dimensions

// The axes of a shape in their order.
std::string_view axes_of(size_t dims) {
    constexpr std::string_view kAxes[] = {"", "w", "hw", "chw", "cdhw"};
    return kAxes[dims];
}

// The length of an axis, 1 where the shape does not have it.
int64_t length_of(const Shape& shape, char axis) {
    const size_t index = axes_of(shape.size()).find(axis);
    return index == std::string_view::npos ? 1 : shape[index];
}

}  // namespace

Shapes reshape_shapes(const Layer& layer, const Shapes& inputs) {
    const Shape& shape = inputs[0];
    if (int_param(layer, "input_batch_axis", 233) != 233 || int_param(layer, "output_batch_axis", 233) != 233) {
        layer.fail("reshapes over the batch axis are not supported");
    }
    const int64_t w = int_param(layer, "w", kKeep), h = int_param(layer, "h", kKeep);
    const int64_t c = int_param(layer, "c", kKeep), d = int_param(layer, "d", kKeep);
    Shape target = h == kKeep ? Shape{w} : c == kKeep ? Shape{h, w} : d == kKeep ? Shape{c, h, w} : Shape{c, d, h, w};
    if (w == kKeep) layer.fail("a reshape without a width is not supported");
    for (size_t i = 0; i < target.size(); ++i) {
        if (target[i] == 0) target[i] = length_of(shape, axes_of(target.size())[i]);
    }
    const auto refuse = [&] { layer.fail("cannot reshape " + tuple_text(shape) + " to " + tuple_text(target)); };
    const int64_t total = elements_of(shape);
    if (std::count(target.begin(), target.end(), -1) == 1) {
        int64_t known = 1;
        bool is_positive = true;
        for (const int64_t size : target) {
            is_positive = is_positive && (size == -1 || size > 0);
            if (size > 0) known = multiply(known, size);
        }
        if (!is_positive || total % known != 0) refuse();
        *std::find(target.begin(), target.end(), -1) = total / known;
    }
    if (*std::min_element(target.begin(), target.end()) < 1 || elements_of(target) != total) refuse();
    return {target};
}

Shapes flatten_shapes(const Layer&, const Shapes& inputs) { return {{elements_of(inputs[0])}}; }

Shapes permute_shapes(const Layer& layer, const Shapes& inputs) {
    const Shape& shape = inputs[0];
    const int64_t order = expect_range(layer, "the order", int_param(layer, "order_type", 0), 0,
                                       std::max<int64_t>(kOrders[shape.size()] - 1, 0));
    const std::string_view inner_first = shape.size() == 2   ? kPermute2d[order]
                                         : shape.size() == 3 ? kPermute3d[order]
                                         : shape.size() == 4 ? kPermute4d[order]
                                                             : "w";
    Shape output;
    for (size_t i = inner_first.size(); i > 0; --i) output.push_back(length_of(shape, inner_first[i - 1]));
    return {output};
}

Shapes squeeze_shapes(const Layer& layer, const Shapes& inputs) {
    const Shape& shape = inputs[0];
    std::array<bool, 4> named{};
    const Integers axes = int_array(layer, "axes");
    for (const int64_t axis : axes) named[axis_of(layer, axis, shape.size())] = true;
    for (size_t i = 0; axes.empty() && i < shape.size(); ++i) {
        const char axis = axes_of(shape.size())[i];
        named[i] = has_flag(layer, std::string("squeeze_") + axis);
    }
    Shape output;
    for (size_t i = 0; i < shape.size(); ++i) {
        if (!named[i] || shape[i] != 1) output.push_back(shape[i]);
    }
    if (output.empty()) output.push_back(1);
    return {output};
}

Shapes expand_dims_shapes(const Layer& layer, const Shapes& inputs) {
    const Shape& shape = inputs[0];
    const Integers axes = int_array(layer, "axes");
    const size_t dims = shape.size() + axes.size();
    if (dims > 4) layer.fail("would give its input " + tuple_text(shape) + " more than 4 dimensions");
    std::array<bool, 4> added{};
    for (const int64_t axis : axes) added[axis_of(layer, axis, dims)] = true;
    if (std::count(added.begin(), added.end(), true) != static_cast<std::ptrdiff_t>(axes.size())) {
        layer.fail("names an axis twice: " + tuple_text(axes));
    }
    Shape output;
    auto size = shape.begin();
    for (size_t i = 0; i < dims; ++i) output.push_back(added[i] ? 1 : *size++);
    return {output};
}

}  // namespace pocketdet::graph
