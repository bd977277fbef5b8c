// What a caller of a detector may choose.
#pragma once

#include <optional>

#include "nms.h"
#include "precision.h"

namespace pocketdet {

// Nothing means what the manifest says.
struct DetectorOptions {
    int threads = 1;                                 // 1..max_threads(), which share the work of each layer
    bool ncnn_layers = false;                        // without our own kernels: ncnn computes every layer
    std::optional<Arithmetic> precision;             // what layers compute in that are not int8
    std::optional<double> score_threshold, nms_iou;  // 0..1
    std::optional<NmsMethod> nms;
    std::optional<int> rois, max_detections;  // 1..10000; one-stage detectors have no rois

    bool own_layers() const { return threads == 1 && !ncnn_layers; }  // our kernels run on one thread
};

// The most threads of a detector: 4 if ncnn was built with OpenMP, as for Android, else 1.
int max_threads();

// Throws UsageError for a value out of its range.
void check_options(const DetectorOptions& options);

}  // namespace pocketdet
