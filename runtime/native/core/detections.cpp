#include "detections.h"

#include <algorithm>
#include <tuple>

namespace pocketdet {

namespace {

bool all_finite(const float* values, size_t count) {
    for (size_t i = 0; i < count; ++i) {
        if (!std::isfinite(values[i])) return false;
    }
    return true;
}

// Adds RoI `r` to the pool of every class whose probability exceeds the threshold.
void classify(const HeadOutput& head, size_t r, float score_threshold, DetectWorkspace& workspace) {
    const float* logits = head.logits_of(r);
    const double best = static_cast<double>(*std::max_element(logits + 1, logits + head.classes));
    const double highest = std::max(best, static_cast<double>(logits[0]));
    // no probability is above its exponential, since the sum of them is at least 1
    if (!(static_cast<float>(std::exp(best - highest)) > score_threshold)) return;
    double sum = 0.0;
    for (size_t c = 0; c < head.classes; ++c) {
        workspace.exponentials[c] = std::exp(static_cast<double>(logits[c]) - highest);
        sum += workspace.exponentials[c];
    }
    const double clearly_below = 0.999 * static_cast<double>(score_threshold) * sum;  // whatever the rounding
    for (size_t label = 0; label + 1 < head.classes; ++label) {
        if (workspace.exponentials[label + 1] < clearly_below) continue;
        const float probability = static_cast<float>(workspace.exponentials[label + 1] / sum);
        if (!(probability > score_threshold)) continue;
        size_t& left = workspace.pools[label].left;
        workspace.candidates[label * head.count + left++] = {probability, static_cast<int32_t>(r)};
    }
}

void fill_pools(const HeadOutput& head, const DetectOptions& options, DetectWorkspace& workspace) {
    workspace.boxes.resize(head.count);
    workspace.exponentials.resize(head.classes);
    workspace.candidates.resize(head.count * (head.classes - 1));
    workspace.pools.assign(head.classes - 1, {0, 0});
    for (size_t r = 0; r < head.count; ++r) {
        const float* deltas = head.deltas_of(r);
        if (!is_finite(head.rois[r]) || !all_finite(deltas, 4)) continue;
        if (!all_finite(head.logits_of(r), head.classes)) continue;
        const Box box = clip(decode(head.rois[r], deltas, options.delta_std), options.image);
        if (!(box.x2 - box.x1 > 0.0f && box.y2 - box.y1 > 0.0f)) continue;
        workspace.boxes[r] = box;
        classify(head, r, options.rule.score_threshold, workspace);
    }
    for (size_t label = 0; label < workspace.pools.size(); ++label) {
        DetectWorkspace::ClassPool& pool = workspace.pools[label];
        if (pool.left > 0) pool.best = best_position(&workspace.candidates[label * head.count], pool.left);
    }
}

// Joins the pools of all classes into one, by RoI, then label, which is how ties rank.
void join_pools(const HeadOutput& head, DetectWorkspace& workspace) {
    workspace.pairs.clear();
    workspace.pair_boxes.clear();
    workspace.pair_pool.clear();
    std::vector<DetectWorkspace::ClassPool>& pools = workspace.pools;
    for (DetectWorkspace::ClassPool& pool : pools) pool.best = 0;  // from here on the first that was not taken
    for (size_t r = 0; r < head.count; ++r) {
        for (size_t label = 0; label < pools.size(); ++label) {
            if (pools[label].best == pools[label].left) continue;
            const Candidate& candidate = workspace.candidates[label * head.count + pools[label].best];
            if (candidate.index != static_cast<int32_t>(r)) continue;
            ++pools[label].best;
            workspace.pair_pool.push_back({candidate.score, static_cast<int32_t>(workspace.pairs.size())});
            workspace.pair_boxes.push_back(workspace.boxes[r]);
            workspace.pairs.push_back({candidate.index, static_cast<int32_t>(label)});
        }
    }
}

// Pairs of RoI and label suppress each other whatever their labels. Equal scores are taken by RoI and ranked by label,
// so those that equal the last one are taken too before the list is cut.
void detect_across_classes(const HeadOutput& head, const DetectOptions& options, DetectWorkspace& workspace,
                           std::vector<Detection>& detections) {
    join_pools(head, workspace);
    Candidate* pool = workspace.pair_pool.data();
    size_t left = workspace.pair_pool.size();
    while (left > 0) {
        const size_t best = best_position(pool, left);
        if (detections.size() >= options.max_detections && pool[best].score < detections.back().score) break;
        const size_t place = static_cast<size_t>(pool[best].index);
        const DetectWorkspace::Pair& pair = workspace.pairs[place];
        detections.push_back({workspace.pair_boxes[place], pool[best].score, pair.label, pair.roi});
        left = pop_and_suppress(pool, left, best, workspace.pair_boxes.data(), options.rule);
    }
    std::sort(detections.begin(), detections.end(), [](const Detection& a, const Detection& b) {
        return std::tie(b.score, a.label, a.index) < std::tie(a.score, b.label, b.index);
    });
    if (detections.size() > options.max_detections) detections.resize(options.max_detections);
}

}  // namespace

// Suppression within a class only lowers scores, so the best candidate of all classes is final. Selecting one at a time
// yields sorted detections and suppresses no more candidates than needed.
void detect(const HeadOutput& head, const DetectOptions& options, DetectWorkspace& workspace,
            std::vector<Detection>& detections) {
    detections.clear();
    if (head.classes < 2) return;  // nothing but background
    fill_pools(head, options, workspace);
    if (!options.per_class) return detect_across_classes(head, options, workspace, detections);
    while (detections.size() < options.max_detections) {
        const Candidate* best = nullptr;
        size_t best_label = 0;
        for (size_t label = 0; label < workspace.pools.size(); ++label) {
            const DetectWorkspace::ClassPool& pool = workspace.pools[label];
            if (pool.left == 0) continue;
            const Candidate* candidate = &workspace.candidates[label * head.count + pool.best];
            if (best == nullptr || candidate->score > best->score) {
                best = candidate;
                best_label = label;
            }
        }
        if (best == nullptr) return;
        detections.push_back({workspace.boxes[static_cast<size_t>(best->index)], best->score,
                              static_cast<int32_t>(best_label), best->index});
        DetectWorkspace::ClassPool& pool = workspace.pools[best_label];
        Candidate* candidates = &workspace.candidates[best_label * head.count];
        pool.left = pop_and_suppress(candidates, pool.left, pool.best, workspace.boxes.data(), options.rule);
        if (pool.left > 0) pool.best = best_position(candidates, pool.left);
    }
}

Box to_original(const Box& box, Size source, Size target, ResizeRule rule) {
    const Placement placed = compute_placement(rule, source, target);
    const float scale_x = static_cast<float>(source.width) / static_cast<float>(placed.width);
    const float scale_y = static_cast<float>(source.height) / static_cast<float>(placed.height);
    const float x0 = static_cast<float>(placed.x0);
    const float y0 = static_cast<float>(placed.y0);
    const Box mapped{(box.x1 - x0) * scale_x, (box.y1 - y0) * scale_y, (box.x2 - x0) * scale_x,
                     (box.y2 - y0) * scale_y};
    return clip(mapped, source);
}

}  // namespace pocketdet
