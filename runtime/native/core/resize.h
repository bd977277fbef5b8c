// Resize, colour conversion and normalisation in one pass, docs/reference/definitions.md "Resize" and "Normalise".
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "boxes.h"
#include "image.h"

namespace pocketdet {

enum class ResizeRule { stretch, letterbox };

// Where the resized picture sits in the network input.
struct Placement {
    int x0, y0, width, height;
};

Placement place(ResizeRule rule, Size source, Size target);

struct ResizeOptions {
    Size target;
    ResizeRule rule;
    ChannelOrder order;          // of the result
    std::array<uint8_t, 3> pad;  // in that order
};

// (pixel - mean) / std for every byte value; mean and std in the result's channel order.
struct NormaliseTable {
    float values[3][256];
};

NormaliseTable make_normalise_table(const float* mean, const float* std);

// The two source positions that a destination position mixes.
struct PixelTap {
    int32_t left, right, fraction;
};

struct ResizeWorkspace {
    std::vector<PixelTap> columns, rows;
    std::array<std::vector<int32_t>, 2> cache;  // two source rows after the horizontal pass
    std::vector<uint8_t> line;                  // one destination row
};

// out: (height, width, 3) bytes.
void resize_to_bytes(const ImageView& image, const ResizeOptions& options, ResizeWorkspace& workspace, uint8_t* out);

// out: three planes of height * width floats, `plane_stride` floats apart.
void resize_to_planes(const ImageView& image, const ResizeOptions& options, const NormaliseTable& table,
                      ResizeWorkspace& workspace, float* out, std::ptrdiff_t plane_stride);

}  // namespace pocketdet
