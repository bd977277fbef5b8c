#include "one_stage_pipeline.h"

#include <algorithm>

#include "errors.h"
#include "output_fields.h"

namespace pocketdet {

namespace {

Suppression suppression_of(NmsMethod method) {
    return method == NmsMethod::hard     ? Suppression::hard
           : method == NmsMethod::linear ? Suppression::linear
                                         : Suppression::gaussian;
}

OneStageSpec overridden(OneStageSpec spec, const DetectorOptions& options, const std::string& name) {
    if (options.rois) {
        throw UsageError("rois=" + std::to_string(*options.rois) + ": " + name +
                         " is a one-stage detector, which has no proposals");
    }
    Selection& selection = spec.selection;
    selection.score_threshold = options.score_threshold.value_or(selection.score_threshold);
    selection.nms_iou = options.nms_iou.value_or(selection.nms_iou);
    selection.max_detections = options.max_detections.value_or(selection.max_detections);
    if (options.nms) selection.nms = suppression_of(*options.nms);
    return spec;
}

OutputView view_of(const ncnn::Mat& mat) {
    return {static_cast<const float*>(mat.data), mat.dims == 3 ? static_cast<std::ptrdiff_t>(mat.cstep) : mat.w};
}

}  // namespace

OneStagePipeline::OneStagePipeline(const Bundle& bundle, const OneStageParts& parts, const DetectorOptions& options)
    : Pipeline(bundle.manifest),
      decoder_(overridden(parts.decode, options, bundle.manifest.name)),
      model_(bundle, parts.model, options, 0) {
    for (const TensorSpec& output : parts.model.outputs) roles_.push_back(output.role);
    for (const std::string& name : decoder_.outputs()) {
        read_.push_back(static_cast<size_t>(std::find(roles_.begin(), roles_.end(), name) - roles_.begin()));
    }
    views_.resize(read_.size());
}

std::vector<std::string> OneStagePipeline::stages() const { return {"model", "boxes"}; }

void OneStagePipeline::run(const ncnn::Mat& tensor, Size source, Stopwatch& watch, Detections& detections) {
    const std::vector<ncnn::Mat> outputs = model_.run(tensor, 0);
    detections.milliseconds.push_back(watch.lap());
    boxes(outputs, source, detections.found);
    detections.milliseconds.push_back(watch.lap());
}

void OneStagePipeline::boxes(const std::vector<ncnn::Mat>& outputs, Size source, std::vector<Detection>& found) {
    for (size_t i = 0; i < read_.size(); ++i) views_[i] = view_of(outputs[read_[i]]);
    decoder_.decode(views_, workspace_, found);
    to_original(found, source);
}

void OneStagePipeline::set_score_threshold(double threshold) {
    OneStageSpec spec = decoder_.spec();
    spec.selection.score_threshold = threshold;
    decoder_ = OneStageDecoder(std::move(spec));
}

std::vector<Check> OneStagePipeline::compare(const Golden& golden, const Tolerances& tolerances) {
    const std::vector<ncnn::Mat> outputs = model_.run(mat_of(golden["normalised"]), 0);
    const Tolerance of_model{tolerances.outputs, 0, tolerances.least_snr_db, {}};
    std::vector<Check> checks;
    std::vector<ncnn::Mat> wanted;
    for (size_t i = 0; i < roles_.size(); ++i) {
        const Array& reference = golden[kGoldenOutputs + roles_[i]];
        const std::vector<Region> regions = output_regions(decoder_.spec(), roles_[i], reference);
        compare_output("model." + roles_[i], regions, reference, values_of(outputs[i]), of_model, checks);
        wanted.push_back(mat_of(reference));
    }
    std::vector<Detection> found;
    boxes(wanted, {golden.image.height, golden.image.width}, found);
    checks.push_back(compare_detections("boxes", detections_of(golden), found, tolerances));
    return checks;
}

}  // namespace pocketdet
