// Greedy and soft non-maximum suppression, docs/reference/definitions.md "IoU and NMS".
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "boxes.h"

namespace pocketdet {

// Boxes kept so far, one array per coordinate, so that a candidate is compared with many at once.
class KeptBoxes {
public:
    void clear();
    void push(const Box& box, float area);
    // Whether the IoU with any kept box exceeds the threshold (which is at least 0).
    bool overlap(const Box& box, float area, float iou_threshold) const;
    size_t size() const { return size_; }

private:
    // Kept in blocks; a block's free lanes hold an empty box, whose IoU with anything is 0.
    static constexpr size_t kBlock = 16;
    struct Block {
        float x1[kBlock], y1[kBlock], x2[kBlock], y2[kBlock], area[kBlock];
    };
    std::vector<Block> blocks_;
    size_t size_ = 0;
};

struct NmsWorkspace {
    std::vector<uint64_t> keys;
    KeptBoxes kept;
};

// Indices of the boxes that greedy NMS keeps, best first; stops at `max_keep` unless that is 0.
void greedy_nms(const Box* boxes, const float* scores, size_t count, float iou_threshold, size_t max_keep,
                NmsWorkspace& workspace, std::vector<int32_t>& keep);

enum class NmsMethod { hard, linear, gaussian };

struct NmsRule {
    NmsMethod method;
    float iou_threshold;    // hard: drop above it; linear: decay above it; gaussian: unused
    float sigma;            // gaussian only
    float score_threshold;  // candidates not above it are dropped
};

struct Candidate {
    float score;
    int32_t index;  // into the boxes
};

// Position of the highest score, the first of equals; `count` is at least 1. Pools keep ascending index order.
size_t best_position(const Candidate* pool, size_t count);

// Takes the candidate at `position` out of the pool, decays or drops the others by their overlap with it, and
// closes the gaps in order. Returns how many remain.
size_t take(Candidate* pool, size_t count, size_t position, const Box* boxes, const NmsRule& rule);

// Survivors in the order in which they are taken, with the scores at that moment. `pool` is scratch.
void soft_nms(const Box* boxes, const float* scores, size_t count, const NmsRule& rule,
              std::vector<Candidate>& pool, std::vector<Candidate>& survivors);

}  // namespace pocketdet
