// Layers with values for each channel or each place of their input, whose shape they keep.
#include <algorithm>

#include "layer_params.h"
#include "message_text.h"
#include "shape_rules.h"
#include "weight_slots.h"

namespace pocketdet::graph {

namespace {

[[noreturn]] void refuse_channels(const Layer& layer, int64_t count, const Shape& shape) {
    layer.fail("has values for " + std::to_string(count) + " channels and its input is " + tuple_text(shape));
}

}  // namespace

// BatchNorm, Bias, Scale and PReLU: parameter 0 counts the values along the first axis.
Shapes per_channel_shapes(const Layer& layer, const Shapes& inputs) {
    const int64_t count = layer.int_param(0, 0);
    const Shape& shape = inputs[0];
    if (layer.type == "Bias") expect_dims(layer, shape, {3});
    if (layer.type == "Scale" && (count == kKeep || inputs.size() == 2)) {
        const bool fits = count == kKeep && inputs.size() == 2 && !has_flag(layer, "bias_term");
        if (!fits || inputs[1] != Shape{shape[0]}) {
            layer.fail("a scale by a second input takes a vector of " + std::to_string(shape[0]) + " without bias");
        }
        return {shape};
    }
    if (count != shape[0] && !(layer.type == "PReLU" && count == 1)) refuse_channels(layer, count, shape);
    return {shape};
}

Shapes group_norm_shapes(const Layer& layer, const Shapes& inputs) {
    const int64_t group = int_param(layer, "group", 1), channels = int_param(layer, "channels", 0);
    if (group < 1 || channels != inputs[0][0] || channels % group != 0) {
        layer.fail(std::to_string(channels) + " channels in " + std::to_string(group) +
                   " groups do not fit the input " + tuple_text(inputs[0]));
    }
    return inputs;
}

Shapes instance_norm_shapes(const Layer& layer, const Shapes& inputs) {
    expect_dims(layer, inputs[0], {3});
    const int64_t channels = int_param(layer, "channels", 0);
    if (int_param(layer, "affine", 1) != 0 && channels != inputs[0][0]) refuse_channels(layer, channels, inputs[0]);
    return inputs;
}

// LayerNorm and RMSNorm normalise over the last axes, never over the first of several.
Shapes layer_norm_shapes(const Layer& layer, const Shapes& inputs) {
    const Shape& shape = inputs[0];
    const int64_t size = int_param(layer, "affine_size", 0);
    bool fits = shape.size() == 1 && size == shape[0];
    for (size_t i = 1; i < shape.size(); ++i) {
        fits = fits || size == elements_of(Shape(shape.begin() + static_cast<std::ptrdiff_t>(i), shape.end()));
    }
    if (!fits) {
        layer.fail("normalises over " + std::to_string(size) + " values, which does not fit the input " +
                   tuple_text(shape));
    }
    return inputs;
}

Shapes normalize_shapes(const Layer& layer, const Shapes& inputs) {
    expect_dims(layer, inputs[0], {3});
    const bool is_shared = has_flag(layer, "channel_shared");
    const int64_t count = int_param(layer, "scale_data_size", 0);
    if (count != (is_shared ? 1 : inputs[0][0])) {
        layer.fail("has " + std::to_string(count) + " scales and its input is " + tuple_text(inputs[0]));
    }
    return inputs;
}

Shapes lrn_shapes(const Layer& layer, const Shapes& inputs) {
    expect_dims(layer, inputs[0], {3});
    expect_range(layer, "the region", int_param(layer, "region_type", 0), 0, 1);
    expect_range(layer, "the local size", int_param(layer, "local_size", 5), 1, 1023);
    return inputs;
}

}  // namespace pocketdet::graph
