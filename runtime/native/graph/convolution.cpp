// Convolution, ConvolutionDepthWise, Deconvolution, DeconvolutionDepthWise, DeformableConv2D.
//
// A window of extent e = dilation * (kernel - 1) + 1 over n padded pixels gives (n - e) / stride + 1 outputs; a
// transposed one (n - 1) * stride + e + output padding, less the pads.
#include <algorithm>

#include "layer_params.h"
#include "message_text.h"
#include "shape_rules.h"
#include "weight_slots.h"
#include "window.h"

namespace pocketdet::graph {

namespace {

// Outputs along the height (axis 0) or the width (axis 1) of `size` pixels.
int64_t outputs_of(const Layer& layer, int64_t size, const Window& window, size_t axis) {
    const int64_t extent = window.extent[axis], stride = window.stride[axis];
    const int64_t padded = window.padded(size, axis);
    if (padded < size) {
        layer.fail("SAME padding of " + std::to_string(size) + " with extent " + std::to_string(extent) +
                   " and stride " + std::to_string(stride) + " would be negative");
    }
    if (padded < extent) {
        layer.fail("a window of extent " + std::to_string(extent) + " does not fit " + std::to_string(padded) +
                   " padded pixels");
    }
    return (padded - extent) / stride + 1;
}

Shape static_weight(const Layer& layer) {
    if (has_flag(layer, "dynamic_weight")) {
        layer.fail("weights that are computed at run time are not supported");
    }
    check_activation(layer);
    return weight_slots(layer)[0].shape;
}

void expect_channels(const Layer& layer, const Shape& shape, int64_t channels) {
    expect_dims(layer, shape, {3});
    if (shape[0] != channels) {
        layer.fail("its weights take " + std::to_string(channels) + " channels and its input " +
                   quoted(layer.inputs[0]) + " is " + tuple_text(shape));
    }
}

// ncnn multiplies a vector as InnerProduct does, but pads it first, and its int8 code takes it for an image.
void check_vector(const Layer& layer, const Shape& shape, const Window& window, int64_t int8_term) {
    const int64_t dilation_w = int_param(layer, "dilation_w", 1);
    const Pair dilation{int_param(layer, "dilation_h", dilation_w), dilation_w}, one{1, 1};
    if (!window.has_pads() && window.stride == one && dilation == one && int8_term == 0) return;
    layer.fail("a vector " + tuple_text(shape) +
               " needs pads of 0, strides and dilations of 1 and the int8 scale term 0, found " + window.pads_text() +
               ", " + tuple_text(Shape(window.stride.begin(), window.stride.end())) + ", " +
               tuple_text(Shape(dilation.begin(), dilation.end())) + " and " + std::to_string(int8_term));
}

// ncnn makes a layer for each group, also of depthwise ones whose channels it does not pack.
void check_groups(const Layer& layer, int64_t group) {
    constexpr int64_t kMostGroups = 4096;
    if (group > kMostGroups) {
        layer.fail("has " + std::to_string(group) + " groups, allowed are " + std::to_string(kMostGroups));
    }
}

Shape swept(const Layer& layer, const Shape& shape, const Shape& weight, const Window& window) {
    const int64_t height = outputs_of(layer, shape[1], window, 0);
    return {weight[0], height, outputs_of(layer, shape[2], window, 1)};
}

}  // namespace

Shapes convolution_shapes(const Layer& layer, const Shapes& inputs) {
    const Shape weight = static_weight(layer), &shape = inputs[0];
    const int64_t term = int_param(layer, "int8_scale_term", 0);
    if (term != 0 && term != 1 && term != 2 && term != 101 && term != 102) {
        layer.fail("the int8 scale term must be one of (0, 1, 2, 101, 102), found " + std::to_string(term));
    }
    const int64_t group = int_param(layer, "group", 1);
    const bool is_1x1 = weight[2] == 1 && weight[3] == 1;
    const Window window = window_of(layer, weight);
    if (shape.size() == 1 && layer.type == "Convolution" && is_1x1 && shape[0] == weight[1]) {
        check_vector(layer, shape, window, term);
        return {{weight[0]}};
    }
    check_groups(layer, group);
    expect_channels(layer, shape, weight[1] * group);
    Shape output = swept(layer, shape, weight, window);
    if (!window.is_same()) {
        const auto& [top, bottom, left, right] = window.pads;
        expect_blob_shape(layer, {shape[0], shape[1] + top + bottom, shape[2] + left + right});
    }
    return {std::move(output)};
}

Shapes deconvolution_shapes(const Layer& layer, const Shapes& inputs) {
    const Shape weight = static_weight(layer), &shape = inputs[0];
    const int64_t group = int_param(layer, "group", 1);
    check_groups(layer, group);
    expect_channels(layer, shape, weight[1] * group);
    const Window window = window_of(layer, weight);
    const Pair full{transposed_size(layer, window, shape[1], 0), transposed_size(layer, window, shape[2], 1)};
    expect_blob_shape(layer, {weight[0], full[0], full[1]});
    const int64_t width = int_param(layer, "output_w", 0);
    const Pair wanted{int_param(layer, "output_h", width), width};
    const auto& [top, bottom, left, right] = window.pads;
    if (std::any_of(window.pads.begin(), window.pads.end(), [](int64_t pad) { return pad > 0; })) {
        return {{weight[0], full[0] - top - bottom, full[1] - left - right}};
    }
    if (std::min(wanted[0], wanted[1]) <= 0) return {{weight[0], full[0], full[1]}};
    if (!window.is_same() || wanted[0] > full[0] || wanted[1] > full[1]) {
        layer.fail("cannot cut " + tuple_text(Shape{full[0], full[1]}) + " down to " +
                   tuple_text(Shape{wanted[0], wanted[1]}) + " (h, w) with pads " + window.pads_text());
    }
    return {{weight[0], wanted[0], wanted[1]}};
}

Shapes deformable_shapes(const Layer& layer, const Shapes& inputs) {
    const Shape weight = weight_slots(layer)[0].shape, &shape = inputs[0];
    check_activation(layer);
    expect_channels(layer, shape, weight[1]);
    const Window window = window_of(layer, weight);
    if (window.is_same()) layer.fail("pads must not be negative, found " + window.pads_text());
    const Shape output = swept(layer, shape, weight, window);
    const int64_t taps = weight[2] * weight[3];
    Shapes expected{{2 * taps, output[1], output[2]}, {taps, output[1], output[2]}};
    expected.resize(inputs.size() - 1);
    const Shapes found(inputs.begin() + 1, inputs.end());
    if (found != expected) {
        layer.fail("offset and mask must be " + list_text(expected) + ", found " + list_text(found));
    }
    return {output};
}

}  // namespace pocketdet::graph
