// Regions of interest from the outputs of an RPN. Definition: docs/reference/definitions.md "Proposals".
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
    float min_size;  // pixels; boxes with a shorter side are dropped
};

struct Proposal {
    Box box;
    float logit;    // foreground minus background logit
    int32_t index;  // of the anchor
};

// Buffers of `propose`, reused between calls.
struct ProposalWorkspace {
    std::vector<uint64_t> keys;
    KeptBoxes kept;
};

// Decodes the pre_nms_top_n best anchors, clips them to the image and applies greedy NMS.
//
// scores: (2 * A, h, w), A background logits, then A foreground logits. deltas: (4 * A, h, w), coordinate k of anchor a
// in channel 4 * a + k. A, h and w are those of the grid.
// proposals: output, at most post_nms_top_n, best first.
void propose(const FeatureMap& scores, const FeatureMap& deltas, const AnchorGrid& grid, const ProposalOptions& options,
             ProposalWorkspace& workspace, std::vector<Proposal>& proposals);

}  // namespace pocketdet
