// Position-sensitive RoI align, docs/reference/definitions.md "PSRoI align".
#pragma once

#include <cstdint>
#include <vector>

#include "boxes.h"
#include "feature_map.h"

namespace pocketdet {

struct PsRoiOptions {
    float stride;        // network pixels per cell of the map
    int pool_size;       // p: bins per side
    int sampling_ratio;  // n: samples per bin and side
};

// One position on an axis that a bin reads, and its share of the bin's mean.
struct AxisTap {
    int32_t position;
    float weight;
};

// Reused between calls. The taps of a bin are its first `counts` of 2 * sampling_ratio.
struct PsRoiWorkspace {
    std::vector<AxisTap> x_taps, y_taps;       // [RoI][bin][2n]
    std::vector<int32_t> x_counts, y_counts;   // [RoI][bin]
    std::vector<float> lanes;                  // [cell][lane]: the channels that one bin reads
};

// features: (alpha * p * p, h, w); out: `count` rows of alpha * p * p floats.
void psroi_align(const FeatureMap& features, const Box* rois, size_t count, const PsRoiOptions& options,
                 PsRoiWorkspace& workspace, float* out);

}  // namespace pocketdet
