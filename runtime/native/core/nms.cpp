#include "nms.h"

#include "ranking.h"

#if defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace pocketdet {

void KeptBoxes::clear() { size_ = 0; }

void KeptBoxes::push(const Box& box, float area) {
    const size_t block = size_ / kBlock;
    const size_t lane = size_ % kBlock;
    if (block == blocks_.size()) blocks_.emplace_back();
    if (lane == 0) blocks_[block] = Block{};  // clears boxes of an earlier frame
    Block& target = blocks_[block];
    target.x1[lane] = box.x1;
    target.y1[lane] = box.y1;
    target.x2[lane] = box.x2;
    target.y2[lane] = box.y2;
    target.area[lane] = area;
    ++size_;
}

#if defined(__aarch64__)
namespace {

// A comparison of the IoU with a threshold without the division. The quotient rounds to a float above the threshold if
// it is above the midpoint between the threshold and the next float, which no quotient of floats is. Near it the
// remainder `intersection - threshold * united` has at most 24 bits, so that it is exact, and elsewhere its rounding
// keeps it on its side. Holds where nothing underflows: see `can_compare`.
class IouComparison {
public:
    static bool can_compare(float area, float threshold) { return area >= 0x1p-40f && threshold >= 0x1p-20f; }

    IouComparison(const Box& box, float area, float threshold)
        : x1_(vdupq_n_f32(box.x1)),
          y1_(vdupq_n_f32(box.y1)),
          x2_(vdupq_n_f32(box.x2)),
          y2_(vdupq_n_f32(box.y2)),
          area_(vdupq_n_f32(area)),
          threshold_(vdupq_n_f32(threshold)),
          half_step_(vmulq_n_f32(vsubq_f32(next(threshold_), threshold_), 0.5f)) {}

    // All bits of an element for an IoU above the threshold.
    uint32x4_t above(const float* x1, const float* y1, const float* x2, const float* y2, const float* area) const {
        const float32x4_t zero = vdupq_n_f32(0), right = vminq_f32(vld1q_f32(x2), x2_);
        const float32x4_t bottom = vminq_f32(vld1q_f32(y2), y2_);
        const float32x4_t width = vmaxq_f32(vsubq_f32(right, vmaxq_f32(vld1q_f32(x1), x1_)), zero);
        const float32x4_t height = vmaxq_f32(vsubq_f32(bottom, vmaxq_f32(vld1q_f32(y1), y1_)), zero);
        const float32x4_t intersection = vmulq_f32(width, height);
        const float32x4_t united = vsubq_f32(vaddq_f32(vld1q_f32(area), area_), intersection);
        const float32x4_t remainder = vfmsq_f32(intersection, threshold_, united);
        return vandq_u32(vcgtq_f32(remainder, vmulq_f32(half_step_, united)), vcgtq_f32(united, zero));
    }

private:
    static float32x4_t next(float32x4_t values) {
        return vreinterpretq_f32_u32(vaddq_u32(vreinterpretq_u32_f32(values), vdupq_n_u32(1)));
    }

    float32x4_t x1_, y1_, x2_, y2_, area_, threshold_, half_step_;
};

}  // namespace
#endif

bool KeptBoxes::overlaps(const Box& box, float area, float iou_threshold) const {
    const size_t used = (size_ + kBlock - 1) / kBlock;
#if defined(__aarch64__)
    if (IouComparison::can_compare(area, iou_threshold)) {
        const IouComparison comparison(box, area, iou_threshold);
        for (size_t b = 0; b < used; ++b) {
            const Block& k = blocks_[b];
            uint32x4_t hits = vdupq_n_u32(0);
            for (size_t i = 0; i < kBlock; i += 4) {
                hits = vorrq_u32(hits, comparison.above(k.x1 + i, k.y1 + i, k.x2 + i, k.y2 + i, k.area + i));
            }
            if (vmaxvq_u32(hits) != 0) return true;
        }
        return false;
    }
#endif
    for (size_t b = 0; b < used; ++b) {
        const Block& block = blocks_[b];
        int hit = 0;
        for (size_t lane = 0; lane < kBlock; ++lane) {
            const Box kept{block.x1[lane], block.y1[lane], block.x2[lane], block.y2[lane]};
            hit |= iou(kept, block.area[lane], box, area) > iou_threshold ? 1 : 0;
        }
        if (hit != 0) return true;
    }
    return false;
}

void greedy_nms(const Box* boxes, const float* scores, size_t count, float iou_threshold, size_t max_keep,
                NmsWorkspace& workspace, std::vector<int32_t>& keep) {
    std::vector<uint64_t>& keys = workspace.keys;
    keys.clear();
    for (size_t i = 0; i < count; ++i) {
        if (std::isfinite(scores[i]) && is_finite(boxes[i])) {
            keys.push_back(rank_key(scores[i], static_cast<uint32_t>(i)));
        }
    }
    keep_top(keys, keys.size());
    keep.clear();
    workspace.kept.clear();
    for (const uint64_t key : keys) {
        const uint32_t index = rank_index(key);
        const float area = area_of(boxes[index]);
        if (workspace.kept.overlaps(boxes[index], area, iou_threshold)) continue;
        keep.push_back(static_cast<int32_t>(index));
        if (keep.size() == max_keep) break;
        workspace.kept.push(boxes[index], area);
    }
}

size_t best_position(const Candidate* pool, size_t count) {
    size_t best = 0;
    for (size_t i = 1; i < count; ++i) {
        if (pool[i].score > pool[best].score) best = i;
    }
    return best;
}

static float decay_score(float score, float overlap, const NmsRule& rule) {
    switch (rule.method) {
        case NmsMethod::hard:
            break;
        case NmsMethod::linear:
            return overlap > rule.iou_threshold ? score * (1.0f - overlap) : score;
        case NmsMethod::gaussian:
            return overlap > 0.0f ? score * exp_float64(-(overlap * overlap) / rule.sigma) : score;
    }
    return score;
}

size_t pop_and_suppress(Candidate* pool, size_t count, size_t position, const Box* boxes, const NmsRule& rule) {
    const Box taken = boxes[pool[position].index];
    const float taken_area = area_of(taken);
    size_t left = 0;
    for (size_t i = 0; i < count; ++i) {
        if (i == position) continue;
        const Candidate candidate = pool[i];
        const Box& box = boxes[candidate.index];
        const float overlap = iou(taken, taken_area, box, area_of(box));
        if (rule.method == NmsMethod::hard && overlap > rule.iou_threshold) continue;
        const float score = decay_score(candidate.score, overlap, rule);
        if (!(score > rule.score_threshold)) continue;
        pool[left++] = {score, candidate.index};
    }
    return left;
}

void soft_nms(const Box* boxes, const float* scores, size_t count, const NmsRule& rule, std::vector<Candidate>& pool,
              std::vector<Candidate>& survivors) {
    pool.clear();
    survivors.clear();
    for (size_t i = 0; i < count; ++i) {
        if (std::isfinite(scores[i]) && is_finite(boxes[i]) && scores[i] > rule.score_threshold) {
            pool.push_back({scores[i], static_cast<int32_t>(i)});
        }
    }
    size_t left = pool.size();
    while (left > 0) {
        const size_t best = best_position(pool.data(), left);
        survivors.push_back(pool[best]);
        left = pop_and_suppress(pool.data(), left, best, boxes, rule);
    }
}

}  // namespace pocketdet
