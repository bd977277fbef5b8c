// Anchors on a regular grid, docs/reference/definitions.md "Anchors".
#pragma once

#include "boxes.h"

namespace pocketdet {

struct AnchorGrid {
    int height, width;   // cells
    float stride;        // pixels per cell
    const float* sizes;  // (size_count, 2): width, height in pixels
    int size_count;

    size_t count() const {
        return static_cast<size_t>(height) * static_cast<size_t>(width) * static_cast<size_t>(size_count);
    }
};

// The box of anchor size `size` at cell (y, x); its index is (y * width + x) * size_count + size.
Box anchor_box(const AnchorGrid& grid, int y, int x, int size);

// anchors: grid.count() boxes in index order.
void make_anchors(const AnchorGrid& grid, Box* anchors);

}  // namespace pocketdet
