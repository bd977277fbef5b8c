// Stage-by-stage parity with PyTorch's golden values, each stage fed with the reference's own inputs, so that the first
// failing row names the stage at fault. Rows and tolerances are those of runtime/stages.py.
#pragma once

#include <optional>
#include <vector>

#include "detector.h"
#include "golden.h"
#include "parity.h"

namespace pocketdet {

struct Tolerances {
    double features, head;  // relative to the largest value of the reference
    double box_pixels, score;
    double lost;  // the share of detections that may be without a partner
    double roi_features = 1e-5;
    double proposal_pixels = 1e-3;
    std::optional<double> least_snr_db = std::nullopt;  // of features and head
};

// By the arithmetic in use.
Tolerances tolerances_for(Arithmetic arithmetic, const std::string& weight_storage);

// One check per stage, in their order. Throws EngineError.
std::vector<Check> compare_stages(const Golden& golden, Detector& detector);

// Whether two sets of detections are one: the same labels, boxes and scores within tolerance. max_abs is the largest
// box difference in pixels among those that agree.
Check compare_detections(const std::string& name, const std::vector<Detection>& reference,
                         const std::vector<Detection>& found, const Tolerances& tolerances);

}  // namespace pocketdet
