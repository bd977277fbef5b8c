#include "anchors.h"

namespace pocketdet {

Box anchor_box(const AnchorGrid& grid, int y, int x, int size) {
    const float centre_x = (static_cast<float>(x) + 0.5f) * grid.stride;
    const float centre_y = (static_cast<float>(y) + 0.5f) * grid.stride;
    const float half_width = 0.5f * grid.sizes[2 * size];
    const float half_height = 0.5f * grid.sizes[2 * size + 1];
    return {centre_x - half_width, centre_y - half_height, centre_x + half_width, centre_y + half_height};
}

void make_anchors(const AnchorGrid& grid, Box* anchors) {
    for (int y = 0; y < grid.height; ++y) {
        for (int x = 0; x < grid.width; ++x) {
            for (int size = 0; size < grid.size_count; ++size) *anchors++ = anchor_box(grid, y, x, size);
        }
    }
}

}  // namespace pocketdet
