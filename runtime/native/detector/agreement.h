// Whether a stage agrees with its reference: tolerances by arithmetic and sets of detections
// (runtime/parity.py), and golden arrays as the values that stages take and give.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <ncnn/mat.h>

#include "detections.h"
#include "golden.h"
#include "parity.h"
#include "precision.h"

namespace pocketdet {

struct Tolerances {
    double features, head, outputs;  // relative to the largest value of the reference; outputs: of one-stage
    double box_pixels, score;
    double lost;  // the share of detections that may be without a partner
    double roi_features = 1e-5;
    double proposal_pixels = 1e-3;
    std::optional<double> least_snr_db = std::nullopt;  // of features, head and outputs
};

// By the arithmetic in use.
Tolerances tolerances_for(Arithmetic arithmetic, const std::string& weight_storage);

// Whether two sets of detections are one: the same labels, boxes and scores within tolerance. max_abs is the largest
// box difference in pixels among those that agree.
Check compare_detections(const std::string& name, const std::vector<Detection>& reference,
                         const std::vector<Detection>& found, const Tolerances& tolerances);

Check compare_array(const std::string& name, const Array& reference, const std::vector<double>& subject,
                    const Tolerance& tolerance);

std::vector<double> values_of(const ncnn::Mat& mat);
std::vector<double> values_of(const std::vector<Box>& boxes);

// A stored array of one to three axes as ncnn would have made it.
ncnn::Mat mat_of(const Array& array);
std::vector<Box> boxes_of(const Array& array);
std::vector<Detection> detections_of(const Golden& golden);

}  // namespace pocketdet
