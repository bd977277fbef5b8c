// Pooling, Interp and Reduction: layers that change the resolution or drop axes.
#include <algorithm>
#include <array>
#include <limits>

#include "shape_rules.h"
#include "words.h"

namespace pocketdet::graph {

namespace {

constexpr int64_t kMaxWindow = int64_t{1} << 14;
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
    expect_range(layer, "the pooling type", layer.int_param(0, 0), 0, 1);
    const int64_t c = inputs[0][0], h = inputs[0][1], w = inputs[0][2];
    if (layer.int_param(4, 0) != 0) return {{c}};
    if (layer.int_param(7, 0) != 0) {
        const int64_t width = layer.int_param(8, 0), height = layer.int_param(18, width);
        const Shape output{c, height == kKeep ? h : height, width == kKeep ? w : width};
        if (output != inputs[0]) {
            check_adaptive(layer, h, output[1]);
            check_adaptive(layer, w, output[2]);
        }
        return {output};
    }
    const int64_t kernel_w = layer.int_param(1, 0), stride_w = layer.int_param(2, 1), left = layer.int_param(3, 0);
    const int64_t top = layer.int_param(13, left), kernel_h = layer.int_param(11, kernel_w);
    const int64_t stride_h = layer.int_param(12, stride_w), bottom = layer.int_param(15, top);
    const int64_t right = layer.int_param(14, left);
    const int64_t mode = expect_range(layer, "the pad mode", layer.int_param(5, 0), 0, 3);
    for (const int64_t value : {kernel_h, kernel_w, stride_h, stride_w}) {
        expect_range(layer, "kernel and stride", value, 1, kMaxWindow);
    }
    for (const int64_t pad : {top, bottom, left, right}) expect_range(layer, "a pad", pad, 0, kMaxWindow);
    const int64_t rows = windows(layer, h, kernel_h, stride_h, top + bottom, mode);
    const int64_t columns = windows(layer, w, kernel_w, stride_w, left + right, mode);
    // the last windows may reach beyond the pads, and ncnn pads as far
    checked(layer, {c, std::max(h + top + bottom, (rows - 1) * stride_h + kernel_h),
                    std::max(w + left + right, (columns - 1) * stride_w + kernel_w)});
    return {{c, rows, columns}};
}

// (w,) becomes (w, h', w'), (h, w) becomes (h, w'), (c, h, w) becomes (c, h', w').
Shapes interp_shapes(const Layer& layer, const Shapes& inputs) {
    const Shape& shape = inputs[0];
    expect_dims(layer, shape, {1, 2, 3});
    expect_range(layer, "the resize type", layer.int_param(0, 0), 1, 3);
    int64_t height = layer.int_param(3, 0), width = layer.int_param(4, 0);
    layer.int_param(6, 0);
    const bool is_dynamic = layer.int_param(5, 0) == 1;
    if (is_dynamic || inputs.size() == 2) {
        if (!is_dynamic || inputs.size() != 2) {
            layer.fail("a size from a second input needs parameter 5=1 and two inputs");
        }
        expect_dims(layer, inputs[1], {3});  // ncnn reads the packed size of a vector or matrix here
        height = inputs[1][1];
        width = inputs[1][2];
    } else {
        const Reals scales{layer.float_param(1, 1.0), layer.float_param(2, 1.0)};
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
    const Integers axes = layer.int_array(3);
    expect_range(layer, "the operation", layer.int_param(0, 0), 0, 10);
    if (!axes.empty() && layer.int_param(5, 0) == 0) {
        layer.fail("was written by an old converter (parameter 5 is 0), which ncnn refuses");
    }
    std::array<bool, 4> reduced{};
    for (const int64_t axis : axes) reduced[axis_of(layer, axis, shape.size())] = true;
    if (layer.int_param(1, 1) != 0 || shape.size() == 1) reduced.fill(true);
    const bool keeps_dims = layer.int_param(4, 0) != 0;
    Shape output;
    for (size_t i = 0; i < shape.size(); ++i) {
        if (!reduced[i]) output.push_back(shape[i]);
        if (reduced[i] && keeps_dims) output.push_back(1);
    }
    if (output.empty()) output.push_back(1);
    return {output};
}

}  // namespace pocketdet::graph
