// Features, proposals, RoI features, head, boxes: docs/reference/definitions.md, stages as in runtime/pipeline.py.
#pragma once

#include "detections.h"
#include "network.h"
#include "pipeline.h"
#include "proposals.h"
#include "ps_roi_align.h"

namespace pocketdet {

class TwoStagePipeline : public Pipeline {
public:
    TwoStagePipeline(const Bundle& bundle, const TwoStageParts& parts, const DetectorOptions& options);

    std::vector<std::string> stages() const override;
    std::vector<StageNetwork> networks() override { return {{"features", features_}, {"head", head_}}; }
    void run(const ncnn::Mat& tensor, Size source, Stopwatch& watch, Detections& detections) override;
    double score_threshold() const override { return detect_options_.rule.score_threshold; }
    void set_score_threshold(double threshold) override {
        detect_options_.rule.score_threshold = static_cast<float>(threshold);
    }
    std::vector<Check> compare(const Golden& golden, const Tolerances& tolerances) override;

private:
    struct Maps {
        ncnn::Mat rpn_scores, rpn_deltas, sam;
    };

    Maps features(const ncnn::Mat& tensor) const;
    std::vector<Proposal> propose(const ncnn::Mat& scores, const ncnn::Mat& deltas);
    // (R, alpha * p * p), overwritten by the next call
    ncnn::Mat roi_features(const ncnn::Mat& sam, const std::vector<Box>& rois);
    // (R, classes + 1 + 4); for no RoIs nothing is run and the result is empty
    ncnn::Mat head(const ncnn::Mat& roi_features) const;
    // `head`: rows of head_columns floats, one per RoI
    std::vector<Detection> boxes(const float* head, const std::vector<Box>& rois, Size source);
    void compare_proposals(const Golden& golden, const Tolerances& tolerances, std::vector<Check>& checks);

    TwoStageParts parts_;
    int rois_;
    DetectOptions detect_options_;
    Network features_, head_;
    ncnn::Mat pooled_;  // made once, as the network's input is
    ProposalWorkspace proposal_workspace_;
    PsRoiWorkspace roi_workspace_;
    DetectWorkspace detect_workspace_;
};

}  // namespace pocketdet
