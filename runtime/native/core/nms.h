// Greedy and soft non-maximum suppression. Definition: docs/reference/definitions.md "IoU and NMS".
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "boxes.h"

namespace pocketdet {

// The boxes that NMS has kept so far, as a structure of arrays, so that one candidate is compared with many at once.
class KeptBoxes {
public:
    void clear();
    void push(const Box& box, float area);
    // Whether the IoU with any kept box exceeds the threshold, which must be at least 0.
    bool overlaps(const Box& box, float area, float iou_threshold) const;
    size_t size() const { return size_; }

private:
    // Unused lanes of a block hold an empty box, which has IoU 0 with every box.
    static constexpr size_t kBlock = 16;
    struct Block {
        float x1[kBlock], y1[kBlock], x2[kBlock], y2[kBlock], area[kBlock];
    };
    std::vector<Block> blocks_;
    size_t size_ = 0;
};

// Buffers of `greedy_nms`, reused between calls.
struct NmsWorkspace {
    std::vector<uint64_t> keys;
    KeptBoxes kept;
};

// Greedy NMS of `count` boxes. Boxes and scores that are not finite are dropped; ties rank by index.
//
// iou_threshold: in [0, 1]; a box is suppressed if its IoU with a kept box is above it.
// max_keep: stops after this many kept boxes; 0 means no limit.
// keep: output, indices of the kept boxes, best first.
void greedy_nms(const Box* boxes, const float* scores, size_t count, float iou_threshold, size_t max_keep,
                NmsWorkspace& workspace, std::vector<int32_t>& keep);

enum class NmsMethod { hard, linear, gaussian };

struct NmsRule {
    NmsMethod method;
    float iou_threshold;    // hard: suppress above it; linear: decay above it; gaussian: unused
    float sigma;            // gaussian only
    float score_threshold;  // candidates with a score not above it are dropped
};

struct Candidate {
    float score;
    int32_t index;  // into the boxes
};

// Returns the position of the highest score, the first of equal ones. `count` is at least 1. Candidates of a pool are
// in ascending index order.
size_t best_position(const Candidate* pool, size_t count);

// Removes the candidate at `position` from the pool, then decays or drops the others by their IoU with it. The order of
// the remaining candidates is preserved. Returns their number.
size_t pop_and_suppress(Candidate* pool, size_t count, size_t position, const Box* boxes, const NmsRule& rule);

// Soft-NMS (Bodla et al. 2017).
//
// pool: scratch. survivors: output, in the order of selection, with the decayed scores at that time.
void soft_nms(const Box* boxes, const float* scores, size_t count, const NmsRule& rule, std::vector<Candidate>& pool,
              std::vector<Candidate>& survivors);

}  // namespace pocketdet
