// Anchor boxes on a regular grid. Definition: docs/reference/definitions.md "Anchors".
#pragma once

#include "boxes.h"

namespace pocketdet {

// A grid of cells with the same anchor sizes at every cell centre. Does not own `sizes`.
struct AnchorGrid {
    int height, width;   // cells
    float stride;        // pixels per cell
    const float* sizes;  // (size_count, 2): width, height in pixels
    int size_count;

    size_t count() const {
        return static_cast<size_t>(height) * static_cast<size_t>(width) * static_cast<size_t>(size_count);
    }
};

// Returns the anchor of size index `size` at cell (y, x) in pixels. Its index is (y * width + x) * size_count + size.
Box anchor_box(const AnchorGrid& grid, int y, int x, int size);

// Writes all grid.count() anchors in index order.
void make_anchors(const AnchorGrid& grid, Box* anchors);

}  // namespace pocketdet
