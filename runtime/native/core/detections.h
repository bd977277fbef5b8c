// Detections from the outputs of a two-stage head. Definition: docs/reference/definitions.md "Detections".
#pragma once

#include <cstdint>
#include <vector>

#include "boxes.h"
#include "nms.h"
#include "resize.h"

namespace pocketdet {

// Views of the head's outputs for `count` RoIs. Row strides are in floats, so that logits and deltas can be columns of
// one matrix.
struct HeadOutput {
    const float* logits;  // (count, classes); class 0 is the background
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
    Size image;  // network input
    NmsRule rule;
    size_t max_detections;
    bool per_class = true;  // boxes only suppress those of their own class
};

struct Detection {
    Box box;  // in network pixels from the core, in pixels of the source image from pocketdet::Detector
    float score;
    int32_t label;  // 0-based, without the background class
    int32_t index;  // of the RoI (two-stage) or of the anchor (one-stage)
};

// Buffers of `detect`, reused between calls.
struct DetectWorkspace {
    struct ClassPool {
        size_t left, best;  // number of candidates, position of the highest score
    };
    std::vector<Box> boxes;             // [RoI]
    std::vector<double> exponentials;   // [class]
    std::vector<Candidate> candidates;  // [label][RoI]
    std::vector<ClassPool> pools;       // [label]
    struct Pair {
        int32_t roi, label;
    };
    std::vector<Pair> pairs;           // candidates of all classes, by RoI, then label
    std::vector<Box> pair_boxes;       // [pair]
    std::vector<Candidate> pair_pool;  // indices into both
};

// Softmax, box decoding, clipping and NMS, within each class or over all of them. RoIs with a value that is not finite
// or with an empty box are dropped.
//
// detections: output, at most max_detections, by score descending, label ascending, RoI ascending.
void detect(const HeadOutput& head, const DetectOptions& options, DetectWorkspace& workspace,
            std::vector<Detection>& detections);

// Maps a box from network pixels to pixels of the source image, which was resized to `target` by `rule`, and clips it.
Box to_original(const Box& box, Size source, Size target, ResizeRule rule);

}  // namespace pocketdet
