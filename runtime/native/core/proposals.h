// From the RPN's maps to regions of interest, docs/reference/definitions.md "Proposals".
#pragma once

#include <vector>

#include "anchors.h"
#include "feature_map.h"
#include "nms.h"

namespace pocketdet {

struct ProposalOptions {
    Size image;  // network input
    size_t pre_nms_top_n, post_nms_top_n;
    float nms_iou;
    float min_size;  // pixels
};

struct Proposal {
    Box box;
    float logit;    // foreground minus background
    int32_t index;  // of the anchor
};

struct ProposalWorkspace {
    std::vector<uint64_t> keys;
    KeptBoxes kept;
};

// scores: (2 * A, h, w), backgrounds first; deltas: (4 * A, h, w), channel 4 * a + k; A, h and w are the grid's.
// proposals: at most post_nms_top_n, best first.
void propose(const FeatureMap& scores, const FeatureMap& deltas, const AnchorGrid& grid,
             const ProposalOptions& options, ProposalWorkspace& workspace, std::vector<Proposal>& proposals);

}  // namespace pocketdet
