// Activations and arithmetic element by element: layers that keep the shape of their inputs.
//
// BinaryOp broadcasts as ncnn does: a tensor of fewer dimensions first gets trailing ones, except that a vector as long
// as the other's width, and not as its channels, lies along the width.
#include <algorithm>

#include "layer_params.h"
#include "message_text.h"
#include "shape_rules.h"

namespace pocketdet::graph {

namespace {

Shape expanded(const Shape& shape, const Shape& other) {
    const size_t missing = other.size() > shape.size() ? other.size() - shape.size() : 0;
    Shape result(shape);
    const bool along_width = shape.size() == 1 && missing > 0 && shape[0] != other[0];
    result.insert(along_width ? result.begin() : result.end(), missing, 1);
    return result;
}

}  // namespace

Shapes unchanged(const Layer&, const Shapes& inputs) { return inputs; }

Shapes binary_shapes(const Layer& layer, const Shapes& inputs) {
    expect_range(layer, "the operation", int_param(layer, "op_type", 0), 0, 18);
    const bool with_scalar = has_flag(layer, "with_scalar");
    const size_t wanted = with_scalar ? 1 : 2;
    if (inputs.size() != wanted) {
        layer.fail("takes " + std::to_string(wanted) + " inputs, found " + std::to_string(inputs.size()));
    }
    float_param(layer, "b", 0.0);
    if (with_scalar) return inputs;
    const Shape first = expanded(inputs[0], inputs[1]), second = expanded(inputs[1], inputs[0]);
    Shape output;
    for (size_t i = 0; i < first.size(); ++i) {
        if (first[i] != second[i] && first[i] != 1 && second[i] != 1) {
            layer.fail("cannot broadcast " + tuple_text(inputs[0]) + " with " + tuple_text(inputs[1]));
        }
        output.push_back(std::max(first[i], second[i]));
    }
    return {output};
}

Shapes unary_shapes(const Layer& layer, const Shapes& inputs) {
    expect_range(layer, "the operation", int_param(layer, "op_type", 0), 0, 27);
    return inputs;
}

Shapes eltwise_shapes(const Layer& layer, const Shapes& inputs) {
    expect_range(layer, "the operation", int_param(layer, "op_type", 0), 0, 2);
    if (std::any_of(inputs.begin(), inputs.end(), [&inputs](const Shape& shape) { return shape != inputs[0]; })) {
        layer.fail("takes inputs of one shape, found " + list_text(inputs));
    }
    const size_t coefficients = float_array(layer, "coeffs").size();
    if (coefficients != 0 && coefficients != inputs.size()) {
        layer.fail("has " + std::to_string(coefficients) + " coefficients for " + std::to_string(inputs.size()) +
                   " inputs");
    }
    return {inputs[0]};
}

Shapes softmax_shapes(const Layer& layer, const Shapes& inputs) {
    const int64_t axis = int_param(layer, "axis", 0);
    axis_of(layer, axis, inputs[0].size());
    if (axis != 0 && !has_flag(layer, "fixbug0")) {
        layer.fail("was written by an old converter (parameter 1 is 0), which ncnn refuses");
    }
    return inputs;
}

Shapes cast_shapes(const Layer& layer, const Shapes& inputs) {
    if (int_param(layer, "type_from", 0) != int_param(layer, "type_to", 0)) {
        layer.fail("casts to another element type are not supported");
    }
    return inputs;
}

}  // namespace pocketdet::graph
