#include "detector.h"

#include "one_stage_pipeline.h"
#include "two_stage.h"

namespace pocketdet {

namespace {

struct MakePipeline {
    const Bundle& bundle;
    const DetectorOptions& options;

    std::unique_ptr<Pipeline> operator()(const TwoStageParts& parts) const {
        return std::make_unique<TwoStagePipeline>(bundle, parts, options);
    }
    std::unique_ptr<Pipeline> operator()(const OneStageParts& parts) const {
        return std::make_unique<OneStagePipeline>(bundle, parts, options);
    }
};

const DetectorOptions& checked(const DetectorOptions& options) {
    check_options(options);
    return options;
}

}  // namespace

std::unique_ptr<Pipeline> make_pipeline(const Bundle& bundle, const DetectorOptions& options) {
    return std::visit(MakePipeline{bundle, options}, bundle.manifest.parts);
}

Detector::Detector(const Bundle& bundle, const DetectorOptions& options)
    : manifest_(bundle.manifest),
      asked_(checked(options).precision.value_or(manifest_.arithmetic())),
      precision_(arithmetic_in_use(asked_)),
      threads_(options.threads),
      own_layers_(options.own_layers()),
      preprocessor_(manifest_),
      pipeline_(make_pipeline(bundle, options)),
      stages_{"preprocess"} {
    for (const std::string& stage : pipeline_->stages()) stages_.push_back(stage);
}

Detections Detector::detect(const ImageView& image) {
    Detections detections;
    detections.milliseconds.reserve(stages_.size());
    Stopwatch watch;
    const ncnn::Mat tensor = preprocessor_.run(image);
    detections.milliseconds.push_back(watch.lap());
    pipeline_->run(tensor, {image.height, image.width}, watch, detections);
    return detections;
}

}  // namespace pocketdet
