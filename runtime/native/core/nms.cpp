#include "nms.h"

#include "ranking.h"

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

bool KeptBoxes::overlaps(const Box& box, float area, float iou_threshold) const {
    const size_t used = (size_ + kBlock - 1) / kBlock;
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
