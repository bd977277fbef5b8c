// One network, and the decode of its outputs: docs/reference/one-stage.md, stages as in runtime/pipeline.py.
#pragma once

#include "network.h"
#include "one_stage.h"
#include "pipeline.h"

namespace pocketdet {

class OneStagePipeline : public Pipeline {
public:
    // Throws UsageError if the options ask for a number of RoIs.
    OneStagePipeline(const Bundle& bundle, const OneStageParts& parts, const DetectorOptions& options);

    std::vector<std::string> stages() const override;
    std::vector<StageNetwork> networks() override { return {{"model", model_}}; }
    void run(const ncnn::Mat& tensor, Size source, Stopwatch& watch, Detections& detections) override;
    double score_threshold() const override { return decoder_.spec().selection.score_threshold; }
    void set_score_threshold(double threshold) override;
    std::vector<Check> compare(const Golden& golden, const Tolerances& tolerances) override;

private:
    // `outputs` in the order of the manifest.
    void boxes(const std::vector<ncnn::Mat>& outputs, Size source, std::vector<Detection>& found);

    OneStageDecoder decoder_;
    std::vector<std::string> roles_;  // of the outputs
    std::vector<size_t> read_;        // which of them the decoder takes
    Network model_;
    OneStageWorkspace workspace_;
    std::vector<OutputView> views_;
};

}  // namespace pocketdet
