// What a caller of a detector may choose.
#pragma once

#include <optional>

#include "nms.h"
#include "precision.h"

namespace pocketdet {

// Nothing means what the manifest says.
struct DetectorOptions {
    int threads = 1;                                 // the ncnn of this program runs one
    std::optional<Arithmetic> precision;             // what layers compute in that are not int8
    std::optional<double> score_threshold, nms_iou;  // 0..1
    std::optional<NmsMethod> nms;
    std::optional<int> rois, max_detections;  // 1..10000; one-stage detectors have no rois
};

// Throws UsageError for a value out of its range.
void check_options(const DetectorOptions& options);

}  // namespace pocketdet
