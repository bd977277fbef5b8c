// The most that a graph may ask for: far above any detector, far below what hurts.
#pragma once

#include <cstdint>

namespace pocketdet::graph {

// Of a kernel, dilation, stride or pad: ncnn multiplies two of them as int.
constexpr int64_t kMaxWindow = int64_t{1} << 14;

struct Limits {
    int64_t layers = 20'000;
    int64_t blobs = 40'000;
    int64_t depth = 2'000;  // layers from an input to any layer
    int64_t elements_per_blob = int64_t{64} << 20;
    int64_t elements_in_all = int64_t{1} << 30;  // of all blobs
    int64_t memory_bytes = int64_t{1} << 30;     // blobs and workspace in use at one time
    int64_t weight_bytes = int64_t{4} << 30;     // weights once loaded, expanded and packed
    int64_t macs = 500'000'000'000;              // multiply-accumulates, other work in the same unit
};

}  // namespace pocketdet::graph
