// Pooling, Interp and Reduction: layers that change the resolution or drop axes.
#include <algorithm>
#include <array>
#include <limits>

#include "graph_limits.h"
#include "layer_params.h"
#include "message_text.h"
#include "shape_rules.h"

namespace pocketdet::graph {

namespace {

constexpr double kMostScale = 16384.0;  // 2^14

int64_t windows(const Layer& layer, int64_t size, int64_t kernel, int64_t stride, int64_t pad, int64_t mode) {
    if (mode >= 2) {
        if (kernel + (size - 1) / stride * stride < size) {
            layer.fail("SAME padding of " + std::to_string(size) + " with kernel " + std::to_string(kernel) +
                       " and stride " + std::to_string(stride) + " would be negative");
        }
        return (size - 1) / stride + 1;
    }
    const int64_t reach = size + pad - kernel;
    if (reach < 0) {
        layer.fail("a window of " + std::to_string(kernel) + " does not fit " + std::to_string(size + pad) +
                   " padded pixels");
    }
    return (mode == 0 ? (reach + stride - 1) / stride : reach / stride) + 1;
}

// ncnn computes (size * (i + 1) + outputs - 1) / outputs in 32 bits.
void check_adaptive(const Layer& layer, int64_t size, int64_t outputs) {
    if (size * outputs + outputs - 1 <= std::numeric_limits<int32_t>::max()) return;
    layer.fail("pools " + std::to_string(size) + " pixels to " + std::to_string(outputs) +
               ", which is beyond ncnn's 32-bit arithmetic");
}

// The pixels of a blob as Interp sees them: (1, 1) for a vector, (1, w) for a matrix, else (h, w).
std::array<int64_t, 2> pixels_of(const Shape& shape) {
    if (shape.size() == 1) return {1, 1};
    return {shape.size() == 2 ? 1 : shape[1], shape.back()};
}

}  // namespace

// Global: (c,). Adaptive: the size asked for. Else windows, with pad modes full (ceil), valid, SAME.
Shapes pooling_shapes(const Layer& layer, const Shapes& inputs) {
    expect_dims(layer, inputs[0], {3});
    expect_range(layer, "the pooling type", int_param(layer, "pooling_type", 0), 0, 1);
    const int64_t c = inputs[0][0], h = inputs[0][1], w = inputs[0][2];
    if (has_flag(layer, "global_pooling")) return {{c}};
    if (has_flag(layer, "adaptive_pooling")) {
        const int64_t width = int_param(layer, "out_w", 0), height = int_param(layer, "out_h", width);
        const Shape output{c, height == kKeep ? h : height, width == kKeep ? w : width};
        if (output != inputs[0]) {
            check_adaptive(layer, h, output[1]);
            check_adaptive(layer, w, output[2]);
        }
        return {output};
    }
    const int64_t kernel_w = int_param(layer, "kernel_w", 0), kernel_h = int_param(layer, "kernel_h", kernel_w);
    const int64_t stride_w = int_param(layer, "stride_w", 1), stride_h = int_param(layer, "stride_h", stride_w);
    const int64_t left = int_param(layer, "pad_left", 0), right = int_param(layer, "pad_right", left);
    const int64_t top = int_param(layer, "pad_top", left), bottom = int_param(layer, "pad_bottom", top);
    const int64_t mode = expect_range(layer, "the pad mode", int_param(layer, "pad_mode", 0), 0, 3);
    for (const int64_t value : {kernel_h, kernel_w, stride_h, stride_w}) {
        expect_range(layer, "kernel and stride", value, 1, kMaxWindow);
    }
    for (const int64_t pad : {top, bottom, left, right}) expect_range(layer, "a pad", pad, 0, kMaxWindow);
    const int64_t rows = windows(layer, h, kernel_h, stride_h, top + bottom, mode);
    const int64_t columns = windows(layer, w, kernel_w, stride_w, left + right, mode);
    // the last windows may reach beyond the pads, and ncnn pads as far
    expect_blob_shape(layer, {c, std::max(h + top + bottom, (rows - 1) * stride_h + kernel_h),
                              std::max(w + left + right, (columns - 1) * stride_w + kernel_w)});
    return {{c, rows, columns}};
}

// (w,) becomes (w, h', w'), (h, w) becomes (h, w'), (c, h, w) becomes (c, h', w').
Shapes interp_shapes(const Layer& layer, const Shapes& inputs) {
    const Shape& shape = inputs[0];
    expect_dims(layer, shape, {1, 2, 3});
    expect_range(layer, "the resize type", int_param(layer, "resize_type", 0), 1, 3);
    int64_t height = int_param(layer, "output_height", 0), width = int_param(layer, "output_width", 0);
    int_param(layer, "align_corner", 0);
    const bool is_dynamic = int_param(layer, "dynamic_target_size", 0) == 1;
    if (is_dynamic || inputs.size() == 2) {
        if (!is_dynamic || inputs.size() != 2) {
            layer.fail("a size from a second input needs parameter 5=1 and two inputs");
        }
        expect_dims(layer, inputs[1], {3});  // ncnn reads the packed size of a vector or matrix here
        height = inputs[1][1];
        width = inputs[1][2];
    } else {
        const Reals scales{float_param(layer, "height_scale", 1.0), float_param(layer, "width_scale", 1.0)};
        for (const double scale : scales) {
            if (scale >= 1.0 / kMostScale && scale <= kMostScale) continue;
            layer.fail("the scales must be positive and sane, found " + tuple_text(scales));
        }
        if (height == 0 || width == 0) {
            const auto pixels = pixels_of(shape);
            height = static_cast<int64_t>(static_cast<float>(pixels[0]) * static_cast<float>(scales[0]));
            width = static_cast<int64_t>(static_cast<float>(pixels[1]) * static_cast<float>(scales[1]));
        }
    }
    expect_range(layer, "the output height", height, 1, kMaxWindow * 4);
    expect_range(layer, "the output width", width, 1, kMaxWindow * 4);
    if (shape.size() == 2) return {{shape[0], width}};
    return {{shape[0], height, width}};
}

Shapes reduction_shapes(const Layer& layer, const Shapes& inputs) {
    const Shape& shape = inputs[0];
    const Integers axes = int_array(layer, "axes");
    expect_range(layer, "the operation", int_param(layer, "operation", 0), 0, 10);
    if (!axes.empty() && !has_flag(layer, "fixbug0")) {
        layer.fail("was written by an old converter (parameter 5 is 0), which ncnn refuses");
    }
    std::array<bool, 4> reduced{};
    for (const int64_t axis : axes) reduced[axis_of(layer, axis, shape.size())] = true;
    if (int_param(layer, "reduce_all", 1) != 0 || shape.size() == 1) reduced.fill(true);
    const bool keeps_dims = has_flag(layer, "keepdims");
    Shape output;
    for (size_t i = 0; i < shape.size(); ++i) {
        if (!reduced[i]) output.push_back(shape[i]);
        if (reduced[i] && keeps_dims) output.push_back(1);
    }
    if (output.empty()) output.push_back(1);
    return {output};
}

}  // namespace pocketdet::graph
