// Horizontal interpolation without a load for each pixel, where the source pixels of each four columns lie within 32
// bytes: as long as the width is at least half of the source's. On ARM, whose table lookups take 32 bytes.
#pragma once

#include <algorithm>
#include <vector>

#include "mix_pixels.h"
#include "resize.h"

namespace pocketdet {

#if defined(__aarch64__)
// step: bytes of a pixel. groups: cleared if some columns lie further apart.
inline void find_near_columns(const std::vector<PixelTap>& taps, int step, int source_width,
                              std::vector<NearColumns>& groups) {
    constexpr int kNear = 32;
    groups.clear();
    for (size_t x = 0; x < taps.size(); x += 4) {
        const auto tap = [&](size_t k) { return taps[std::min(x + k, taps.size() - 1)]; };
        NearColumns near{std::min(tap(0).left * step, source_width * step - kNear), {}};
        if (near.first < 0 || tap(3).right * step + 3 - near.first > kNear) return groups.clear();
        for (int k = 0; k < 4; ++k) {
            const PixelTap of_column = tap(static_cast<size_t>(k));
            near.places.put(k, of_column.left * step - near.first, of_column.right * step - near.first);
        }
        groups.push_back(near);
    }
}

// shares, out, plane: as of mix_four, for all groups.
inline void mix_near(const uint8_t* row, const std::vector<NearColumns>& groups, const uint16_t* shares, int32_t* out,
                     size_t plane) {
    for (const NearColumns& group : groups) {
        mix_at(group.places, vld1q_u8_x2(row + group.first), shares, out, plane);
        shares += 8;
        out += 4;
    }
}
#endif

}  // namespace pocketdet
