// Ranking by score: score descending, then index ascending, packed into one 64-bit key.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

namespace pocketdet {

// A key whose ascending order is the rank order. `score` must not be NaN; -0 ranks as +0.
inline uint64_t rank_key(float score, uint32_t index) {
    const float positive_zero = score + 0.0f;
    uint32_t bits;
    std::memcpy(&bits, &positive_zero, sizeof bits);
    // Maps IEEE order to unsigned order and complements it, so that a higher score has a lower key.
    const uint32_t rank = (bits & 0x80000000u) != 0 ? bits : ~(bits | 0x80000000u);
    return (static_cast<uint64_t>(rank) << 32) | index;
}

// The index that `key` was made of.
inline uint32_t rank_index(uint64_t key) { return static_cast<uint32_t>(key); }

// The score that `key` was made of.
inline float rank_score(uint64_t key) {
    const uint32_t rank = static_cast<uint32_t>(key >> 32);
    const uint32_t bits = (rank & 0x80000000u) != 0 ? rank : ~rank & 0x7fffffffu;
    float score;
    std::memcpy(&score, &bits, sizeof score);
    return score;
}

// Reduces `keys` to its `count` best in rank order, or sorts all of them if there are fewer.
inline void keep_top(std::vector<uint64_t>& keys, size_t count) {
    if (count < keys.size()) {
        std::nth_element(keys.begin(), keys.begin() + static_cast<std::ptrdiff_t>(count), keys.end());
        keys.resize(count);
    }
    std::sort(keys.begin(), keys.end());
}

}  // namespace pocketdet
