// From the outputs of a one-stage detector to detections, docs/reference/one-stage.md steps 1 to 8.
#pragma once

#include <string>
#include <vector>

#include "detections.h"
#include "nms.h"
#include "one_stage_read.h"
#include "one_stage_scores.h"
#include "one_stage_spec.h"

namespace pocketdet {

// Memory of one thread, grown in the first frames and then used again.
struct OneStageWorkspace {
    std::vector<LevelView> levels;
    std::vector<uint64_t> keys, level_keys;  // of candidates, or of priors by objectness
    std::vector<uint32_t> priors;            // to be scored, level after level
    std::vector<double> powers;
    std::vector<ClassScore> scores;
    std::vector<KeptBoxes> kept;             // [label], or one for all

    // Soft-NMS: candidates group after group.
    struct Group {
        size_t start, left, best;  // in the pool; the best counted from the start
    };
    std::vector<Group> groups;
    std::vector<Detection> sound;
    std::vector<Box> boxes;       // of those
    std::vector<Candidate> pool;  // of those
};

class OneStageDecoder {
public:
    // Throws std::invalid_argument for a description that check_spec refuses.
    explicit OneStageDecoder(OneStageSpec spec);

    const OneStageSpec& spec() const { return spec_; }

    // What `decode` takes, in this order.
    const std::vector<std::string>& outputs() const { return outputs_; }

    // `outputs` have room for what is read (`misfit` tells). detections: best first, boxes in network pixels, `index`
    // that of the prior. Safe from several threads with a workspace each.
    void decode(const std::vector<OutputView>& outputs, OneStageWorkspace& workspace,
                std::vector<Detection>& detections) const;

private:
    void view_levels(const std::vector<OutputView>& outputs, std::vector<LevelView>& levels) const;
    // Steps 1 to 5: keys of candidates (score, pair of prior and label), best first.
    void find_candidates(OneStageWorkspace& workspace) const;
    void find_objects(OneStageWorkspace& workspace) const;
    void score_prior(const LevelView& view, uint32_t prior, OneStageWorkspace& workspace) const;
    // Step 6: false for a box that is dropped.
    bool decode_box(const std::vector<LevelView>& levels, uint64_t key, Detection& detection) const;
    // Step 7: as many as can be in the answer.
    void suppress_hard(OneStageWorkspace& workspace, std::vector<Detection>& detections) const;
    void suppress_soft(OneStageWorkspace& workspace, std::vector<Detection>& detections) const;
    void fill_pools(OneStageWorkspace& workspace) const;
    bool is_answered(const std::vector<Detection>& detections, float next_score) const;

    OneStageSpec spec_;
    ScoreRule score_rule_;
    std::vector<std::string> outputs_;
    NmsRule nms_rule_;
    size_t max_detections_;
};

}  // namespace pocketdet
