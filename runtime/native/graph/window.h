// The windows of convolutions: kernel, dilation, stride and pads along the height (axis 0) and the width (axis 1).
#pragma once

#include <array>
#include <string>

#include "model.h"

namespace pocketdet::graph {

using Pair = std::array<int64_t, 2>;  // along (h, w)

// Extent is dilation * (kernel - 1) + 1; pads are (top, bottom, left, right) as written: -233 and -234, all four, ask
// for as much as keeps the size.
struct Window {
    Pair extent, stride;
    std::array<int64_t, 4> pads;

    bool is_same() const { return pads[0] == -233 || pads[0] == -234; }
    bool has_pads() const { return pads != std::array<int64_t, 4>{}; }
    // Pixels with pads along an axis of `size`.
    int64_t padded(int64_t size, size_t axis) const;
    std::string pads_text() const;
};

// `weight` is (out, in / group, kernel_h, kernel_w). Throws GraphError for a window that ncnn would not survive.
Window window_of(const Layer& layer, const Shape& weight);

// Pixels of a deconvolution before it is cut, along an axis of `size`. Throws GraphError.
int64_t transposed_size(const Layer& layer, const Window& window, int64_t size, size_t axis);

}  // namespace pocketdet::graph
