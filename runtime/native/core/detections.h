// From the head's outputs to detections, docs/reference/definitions.md "Detections".
#pragma once

#include <cstdint>
#include <vector>

#include "boxes.h"
#include "nms.h"
#include "resize.h"

namespace pocketdet {

// Rows may lie at any distance (in floats), as they do when one matrix holds logits and deltas.
struct HeadOutput {
    const float* logits;  // (count, classes), background first
    std::ptrdiff_t logits_stride;
    const float* deltas;  // (count, 4), class-agnostic
    std::ptrdiff_t deltas_stride;
    const Box* rois;  // network pixels
    size_t count, classes;

    const float* logits_of(size_t roi) const { return logits + static_cast<std::ptrdiff_t>(roi) * logits_stride; }
    const float* deltas_of(size_t roi) const { return deltas + static_cast<std::ptrdiff_t>(roi) * deltas_stride; }
};

struct DetectOptions {
    float delta_std[4];
    Size image;    // network input
    NmsRule rule;  // within each class
    size_t max_detections;
};

struct Detection {
    Box box;  // network pixels
    float score;
    int32_t label;  // 0-based, background not counted
    int32_t index;  // of the RoI, or of the prior
};

struct DetectWorkspace {
    struct ClassPool {
        size_t left, best;  // candidates, and the position of the highest
    };
    std::vector<Box> boxes;             // [RoI]
    std::vector<double> exponentials;   // [class]
    std::vector<Candidate> candidates;  // [label][RoI]
    std::vector<ClassPool> pools;       // [label]
};

// detections: score descending, label ascending, RoI ascending; at most max_detections.
void detect(const HeadOutput& head, const DetectOptions& options, DetectWorkspace& workspace,
            std::vector<Detection>& detections);

// A box in network pixels mapped to the source image that was resized by `rule`, and clipped to it.
Box to_original(const Box& box, Size source, Size target, ResizeRule rule);

}  // namespace pocketdet
