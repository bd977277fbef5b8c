#include "window.h"

#include <algorithm>

#include "graph_limits.h"
#include "layer_params.h"
#include "message_text.h"
#include "shape_rules.h"

namespace pocketdet::graph {

int64_t Window::padded(int64_t size, size_t axis) const {
    if (is_same()) return extent[axis] + (size - 1) / stride[axis] * stride[axis];
    return size + pads[2 * axis] + pads[2 * axis + 1];
}

std::string Window::pads_text() const { return tuple_text(Shape(pads.begin(), pads.end())); }

Window window_of(const Layer& layer, const Shape& weight) {
    const int64_t dilation_w = int_param(layer, "dilation_w", 1), stride_w = int_param(layer, "stride_w", 1);
    const Pair dilation{int_param(layer, "dilation_h", dilation_w), dilation_w}, kernel{weight[2], weight[3]};
    Window window{};
    window.stride = {int_param(layer, "stride_h", stride_w), stride_w};
    const int64_t left = int_param(layer, "pad_left", 0), right = int_param(layer, "pad_right", left);
    const int64_t top = int_param(layer, "pad_top", left), bottom = int_param(layer, "pad_bottom", top);
    window.pads = {top, bottom, left, right};
    for (const int64_t value : dilation) expect_range(layer, "the dilation", value, 1, kMaxWindow);
    for (const int64_t value : window.stride) expect_range(layer, "the stride", value, 1, kMaxWindow);
    for (const int64_t value : kernel) expect_range(layer, "the kernel", value, 1, kMaxWindow);
    const auto all = [&window](auto fits) { return std::all_of(window.pads.begin(), window.pads.end(), fits); };
    const bool is_same = window.is_same() && all([&window](int64_t pad) { return pad == window.pads[0]; });
    if (!is_same && !all([](int64_t pad) { return pad >= 0 && pad <= kMaxWindow; })) {
        layer.fail("pads (top, bottom, left, right) must be 0.." + std::to_string(kMaxWindow) + ", found " +
                   window.pads_text());
    }
    for (size_t i = 0; i < 2; ++i) window.extent[i] = dilation[i] * (kernel[i] - 1) + 1;
    return window;
}

int64_t transposed_size(const Layer& layer, const Window& window, int64_t size, size_t axis) {
    const char* what = "the output padding";
    const int64_t right = expect_range(layer, what, int_param(layer, "output_pad_right", 0), 0, kMaxWindow);
    const int64_t bottom = expect_range(layer, what, int_param(layer, "output_pad_bottom", right), 0, kMaxWindow);
    return (size - 1) * window.stride[axis] + window.extent[axis] + (axis == 0 ? bottom : right);
}

}  // namespace pocketdet::graph
