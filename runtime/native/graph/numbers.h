// Arithmetic on sizes that an untrusted file names: it stops at the largest number instead of overflowing.
#pragma once

#include <cstdint>
#include <limits>

namespace pocketdet::graph {

constexpr int64_t kMost = std::numeric_limits<int64_t>::max();

// Sum and product of numbers that are not negative.
constexpr int64_t add(int64_t a, int64_t b) { return a > kMost - b ? kMost : a + b; }
constexpr int64_t multiply(int64_t a, int64_t b) { return b != 0 && a > kMost / b ? kMost : a * b; }

// a / b rounded up for numbers that are not negative.
constexpr int64_t ceil_divide(int64_t a, int64_t b) { return a / b + (a % b != 0 ? 1 : 0); }

// a / b rounded down, also for a negative `a`; `b` is positive.
constexpr int64_t floor_divide(int64_t a, int64_t b) { return a / b - (a % b < 0 ? 1 : 0); }

}  // namespace pocketdet::graph
