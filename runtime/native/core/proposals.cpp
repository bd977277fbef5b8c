#include "proposals.h"

#include <limits>

#include "ranking.h"

namespace pocketdet {

// Ranks the `most` best anchors. Of more keys than that the others are dropped now and then, and what is below those
// that are left is not ranked.
static void rank_objectness(const FeatureMap& scores, int size_count, size_t most, std::vector<uint64_t>& keys) {
    keys.clear();
    float lowest = -std::numeric_limits<float>::infinity();
    for (int size = 0; size < size_count; ++size) {
        const float* background = scores.plane(size);
        const float* foreground = scores.plane(size_count + size);
        for (int cell = 0; cell < scores.plane_size(); ++cell) {
            const float logit = foreground[cell] - background[cell];
            if (logit < lowest || !std::isfinite(logit)) continue;
            keys.push_back(rank_key(logit, static_cast<uint32_t>(cell * size_count + size)));
            if (keys.size() < 3 * most) continue;
            std::nth_element(keys.begin(), keys.begin() + static_cast<std::ptrdiff_t>(most - 1), keys.end());
            keys.resize(most);
            lowest = rank_score(keys.back());
        }
    }
    keep_top(keys, most);
}

static Box decode_anchor(const FeatureMap& deltas, const AnchorGrid& grid, int index) {
    constexpr float kUnitStd[4] = {1.0f, 1.0f, 1.0f, 1.0f};
    const int size = index % grid.size_count;
    const int cell = index / grid.size_count;
    float delta[4];
    for (int k = 0; k < 4; ++k) delta[k] = deltas.plane(4 * size + k)[cell];
    return decode(anchor_box(grid, cell / grid.width, cell % grid.width, size), delta, kUnitStd);
}

void propose(const FeatureMap& scores, const FeatureMap& deltas, const AnchorGrid& grid, const ProposalOptions& options,
             ProposalWorkspace& workspace, std::vector<Proposal>& proposals) {
    rank_objectness(scores, grid.size_count, options.pre_nms_top_n, workspace.keys);
    workspace.kept.clear();
    proposals.clear();
    for (const uint64_t key : workspace.keys) {
        const int index = static_cast<int>(rank_index(key));
        const Box box = clip(decode_anchor(deltas, grid, index), options.image);
        if (!is_finite(box)) continue;
        if (box.x2 - box.x1 < options.min_size || box.y2 - box.y1 < options.min_size) continue;
        const float area = area_of(box);
        if (workspace.kept.overlaps(box, area, options.nms_iou)) continue;
        proposals.push_back({box, rank_score(key), index});
        if (proposals.size() == options.post_nms_top_n) break;
        workspace.kept.push(box, area);
    }
}

}  // namespace pocketdet
