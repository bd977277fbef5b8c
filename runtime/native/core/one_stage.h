// Detections from the outputs of a one-stage detector. Definition: docs/reference/one-stage.md steps 1 to 8.
#pragma once

#include <string>
#include <vector>

#include "detections.h"
#include "nms.h"
#include "one_stage_read.h"
#include "one_stage_scores.h"
#include "one_stage_spec.h"

namespace pocketdet {

// Buffers of OneStageDecoder::decode, reused between frames. Each thread needs its own.
struct OneStageWorkspace {
    std::vector<LevelView> levels;
    std::vector<uint64_t> keys, level_keys;  // rank keys of candidates, or of anchors by objectness
    std::vector<uint32_t> anchors;           // to be scored, level by level
    std::vector<double> powers;
    std::vector<ClassScore> scores;
    std::vector<float> elements;  // of one box, from two fields
    std::vector<KeptBoxes> kept;  // [label], or one for all labels

    // Soft-NMS: candidates group by group.
    struct Group {
        size_t start, left, best;  // position in `pool`, number of candidates, best one relative to start
    };
    std::vector<Group> groups;
    std::vector<Detection> valid;
    std::vector<Box> boxes;       // of `valid`
    std::vector<Candidate> pool;  // of `valid`
};

// Immutable; threads may share a decoder.
class OneStageDecoder {
public:
    // Throws std::invalid_argument if check_spec rejects the spec.
    explicit OneStageDecoder(OneStageSpec spec);

    const OneStageSpec& spec() const { return spec_; }

    // Names of the outputs that `decode` takes, in this order.
    const std::vector<std::string>& outputs() const { return outputs_; }

    // outputs: one per name of outputs(); their shapes must pass shape_error.
    // detections: output, by score, then label, then anchor; boxes in network pixels.
    void decode(const std::vector<OutputView>& outputs, OneStageWorkspace& workspace,
                std::vector<Detection>& detections) const;

private:
    void view_levels(const std::vector<OutputView>& outputs, std::vector<LevelView>& levels) const;
    // Steps 1 to 5: rank keys of candidates, index = anchor * num_classes + label, best first.
    void find_candidates(OneStageWorkspace& workspace) const;
    void select_by_objectness(OneStageWorkspace& workspace) const;
    void score_anchor(const LevelView& view, uint32_t anchor, OneStageWorkspace& workspace) const;
    // Step 6. Returns false if the box is dropped.
    bool decode_box(OneStageWorkspace& workspace, uint64_t key, Detection& detection) const;
    Box decode_coding(const LevelView& view, size_t coding, uint32_t anchor, const Box& reference,
                      std::vector<float>& elements) const;
    // Step 7. Stops when max_detections are final.
    void suppress_hard(OneStageWorkspace& workspace, std::vector<Detection>& detections) const;
    void suppress_soft(OneStageWorkspace& workspace, std::vector<Detection>& detections) const;
    void fill_pools(OneStageWorkspace& workspace) const;
    bool have_enough(const std::vector<Detection>& detections, float next_score) const;

    OneStageSpec spec_;
    ScoreRule score_rule_;
    std::vector<std::string> outputs_;
    NmsRule nms_rule_;
    size_t max_detections_;
};

}  // namespace pocketdet
