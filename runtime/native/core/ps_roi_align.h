// Position-sensitive RoI align (PSRoIAlign). Definition: docs/reference/definitions.md "PSRoI align".
#pragma once

#include <cstdint>
#include <vector>

#include "boxes.h"
#include "feature_map.h"

namespace pocketdet {

struct PsRoiOptions {
    float stride;        // network pixels per cell of the map (1 / spatial_scale)
    int pool_size;       // p: the output has p x p bins
    int sampling_ratio;  // n: n x n bilinear samples per bin
};

// A position on one axis that a bin reads, and its weight in the bin's mean.
struct AxisTap {
    int32_t position;
    float weight;
};

// Buffers of `ps_roi_align`, reused between calls. A bin uses the first `counts` of its 2 * sampling_ratio taps.
struct PsRoiWorkspace {
    std::vector<AxisTap> x_taps, y_taps;      // [RoI][bin][2n]
    std::vector<int32_t> x_counts, y_counts;  // [RoI][bin]
    std::vector<float> offsets;               // [sample]: from the start of a bin of the axis at hand
    std::vector<float> lanes;                 // [cell][lane]: channels of one bin as SIMD lanes
};

// Pools `count` RoIs.
//
// features: (alpha * p * p, h, w). rois: in network pixels; an RoI that is not finite results in zeros.
// out: (count, alpha * p * p); bin (i, j) of output channel c is element (c * p + i) * p + j.
void ps_roi_align(const FeatureMap& features, const Box* rois, size_t count, const PsRoiOptions& options,
                  PsRoiWorkspace& workspace, float* out);

}  // namespace pocketdet
