// Resize, colour conversion and normalisation in one pass. Definition: docs/reference/definitions.md "Resize",
// "Normalise".
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "boxes.h"
#include "image.h"

namespace pocketdet {

enum class ResizeRule { stretch, letterbox, letterbox_top_left };

// The rectangle of the resized image in the network input, in pixels.
struct Placement {
    int x0, y0, width, height;
};

// stretch: the whole target. letterbox: the largest rectangle with the aspect ratio of the source, centred.
// letterbox_top_left: the same in the upper left corner.
Placement compute_placement(ResizeRule rule, Size source, Size target);

struct ResizeOptions {
    Size target;
    ResizeRule rule;
    ChannelOrder order;          // of the output
    std::array<uint8_t, 3> pad;  // letterbox colour, in channel order
};

// (pixel - mean) / std for every byte value; mean and std have 3 values in the output's channel order.
struct NormaliseTable {
    float values[3][256];
    float mean[3], std[3];
    bool has_products[3];  // whether `quotients` of normalise_bytes.h has the same values
};

NormaliseTable make_normalise_table(const float* mean, const float* std);

// The two source positions of a destination position, and the weight of `right` in units of 1 / kOne.
struct PixelTap {
    int32_t left, right, fraction;
};

// Four columns of a row whose pixels are among 32 bytes: for each channel the places of the left pixels' bytes, then of
// the right ones', as 16 bits. What is at place 255 is zero.
struct ChannelPlaces {
    uint8_t bytes[3][16];

    // left, right: of a column, the places of the first bytes of its pixels.
    constexpr void put(int column, int left, int right) {
        for (int c = 0; c < 3; ++c) {
            bytes[c][2 * column] = static_cast<uint8_t>(left + c);
            bytes[c][8 + 2 * column] = static_cast<uint8_t>(right + c);
            bytes[c][2 * column + 1] = bytes[c][8 + 2 * column + 1] = 255;
        }
    }
};

// Four columns whose pixels lie within 32 bytes of a row, the first of which it has.
struct NearColumns {
    int32_t first;
    ChannelPlaces places;
};

// Buffers of both functions, reused between calls.
struct ResizeWorkspace {
    std::vector<PixelTap> columns, rows;
    std::vector<NearColumns> near_columns;      // all columns, or empty
    std::vector<uint16_t> shares;               // of the columns: see mix_pixels.h
    std::array<std::vector<int32_t>, 2> cache;  // two source rows after the horizontal pass, 3 planes each
    std::vector<uint8_t> line;                  // one destination row, 3 planes
};

// out: (height, width, 3) bytes.
void resize_to_bytes(const ImageView& image, const ResizeOptions& options, ResizeWorkspace& workspace, uint8_t* out);

// out: 3 planes of height * width floats, `plane_stride` floats apart.
void resize_to_planes(const ImageView& image, const ResizeOptions& options, const NormaliseTable& table,
                      ResizeWorkspace& workspace, float* out, std::ptrdiff_t plane_stride);

}  // namespace pocketdet
