// The one order of the project: score descending, then index ascending, packed into an integer.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

namespace pocketdet {

// Keys in ascending order are candidates in rank order. `score` is no NaN; -0 counts as +0.
inline uint64_t rank_key(float score, uint32_t index) {
    const float positive_zero = score + 0.0f;
    uint32_t bits;
    std::memcpy(&bits, &positive_zero, sizeof bits);
    // Monotone map of IEEE order onto unsigned order, complemented so that high scores come first.
    const uint32_t descending = (bits & 0x80000000u) != 0 ? bits : ~(bits | 0x80000000u);
    return (static_cast<uint64_t>(descending) << 32) | index;
}

inline uint32_t rank_index(uint64_t key) { return static_cast<uint32_t>(key); }

inline float rank_score(uint64_t key) {
    const uint32_t descending = static_cast<uint32_t>(key >> 32);
    const uint32_t bits = (descending & 0x80000000u) != 0 ? descending : ~descending & 0x7fffffffu;
    float score;
    std::memcpy(&score, &bits, sizeof score);
    return score;
}

// Leaves the best `count` keys (or all, if there are fewer) in rank order.
void keep_best(std::vector<uint64_t>& keys, size_t count);

}  // namespace pocketdet
