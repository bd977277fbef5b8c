#include "two_stage.h"

#include <algorithm>
#include <new>

namespace pocketdet {

namespace {

DetectOptions detect_options(const TwoStageParts& parts, Size input, const DetectorOptions& options) {
    DetectOptions detect{};
    std::copy(parts.roi_head.delta_std.begin(), parts.roi_head.delta_std.end(), detect.delta_std);
    detect.image = input;
    detect.rule = parts.postprocessing.rule;
    detect.per_class = parts.postprocessing.per_class;
    if (options.nms) detect.rule.method = *options.nms;
    if (options.nms_iou) detect.rule.iou_threshold = static_cast<float>(*options.nms_iou);
    if (options.score_threshold) detect.rule.score_threshold = static_cast<float>(*options.score_threshold);
    detect.max_detections = static_cast<size_t>(options.max_detections.value_or(parts.postprocessing.max_detections));
    return detect;
}

FeatureMap map_of(const ncnn::Mat& mat) {
    return {static_cast<const float*>(mat.data), static_cast<std::ptrdiff_t>(mat.cstep), mat.c, mat.h, mat.w};
}

std::vector<Box> boxes_of(const std::vector<Proposal>& proposals) {
    std::vector<Box> boxes(proposals.size());
    std::transform(proposals.begin(), proposals.end(), boxes.begin(), [](const Proposal& p) { return p.box; });
    return boxes;
}

// As ncnn's row_range, but counted: ncnn crashes where the input of an in-place layer has no reference count.
ncnn::Mat first_rows(const ncnn::Mat& mat, int count) {
    ncnn::Mat rows = mat;
    rows.h = count;
    rows.cstep = static_cast<size_t>(mat.w) * static_cast<size_t>(count);
#if NCNN_BATCH
    rows.nstep = rows.total();
#endif
    return rows;
}

}  // namespace

TwoStagePipeline::TwoStagePipeline(const Bundle& bundle, const TwoStageParts& parts, const DetectorOptions& options)
    : Pipeline(bundle.manifest),
      parts_(parts),
      rois_(options.rois.value_or(parts.proposals.post_nms_top_n)),
      detect_options_(detect_options(parts, input_, options)),
      features_(bundle, parts_.features, options, parts_.proposals.post_nms_top_n),
      head_(bundle, parts_.head, options, parts_.proposals.post_nms_top_n) {}

std::vector<std::string> TwoStagePipeline::stages() const {
    return {"features", "proposals", "roi_align", "head", "boxes"};
}

void TwoStagePipeline::run(const ncnn::Mat& tensor, Size source, Stopwatch& watch, Detections& detections) {
    std::vector<double>& times = detections.milliseconds;
    const Maps maps = features(tensor);
    times.push_back(watch.lap());
    const std::vector<Box> rois = boxes_of(propose(maps.rpn_scores, maps.rpn_deltas));
    times.push_back(watch.lap());
    const ncnn::Mat pooled = roi_features(maps.sam, rois);
    times.push_back(watch.lap());
    const ncnn::Mat rows = head(pooled);
    times.push_back(watch.lap());
    detections.found = boxes(rows, rois, source);
    times.push_back(watch.lap());
    detections.rois = rois.size();
}

TwoStagePipeline::Maps TwoStagePipeline::features(const ncnn::Mat& tensor) const {
    const std::vector<ncnn::Mat> outputs = features_.run(tensor, 0);
    Maps maps;
    for (size_t i = 0; i < outputs.size(); ++i) {
        const std::string& role = parts_.features.outputs[i].role;
        (role == "sam" ? maps.sam : role == "rpn_scores" ? maps.rpn_scores : maps.rpn_deltas) = outputs[i];
    }
    return maps;
}

std::vector<Proposal> TwoStagePipeline::propose(const ncnn::Mat& scores, const ncnn::Mat& deltas) {
    const Anchors& anchors = parts_.anchors;
    const AnchorGrid grid{scores.h, scores.w, static_cast<float>(anchors.stride), anchors.sizes.data(),
                          anchors.count()};
    const Proposals& p = parts_.proposals;
    const ProposalOptions options{input_, static_cast<size_t>(p.pre_nms_top_n), static_cast<size_t>(rois_), p.nms_iou,
                                  p.min_size};
    std::vector<Proposal> proposals;
    pocketdet::propose(map_of(scores), map_of(deltas), grid, options, proposal_workspace_, proposals);
    return proposals;
}

ncnn::Mat TwoStagePipeline::roi_features(const ncnn::Mat& sam, const std::vector<Box>& rois) {
    if (rois.empty()) return {};
    const RoiHead& h = parts_.roi_head;
    const int count = static_cast<int>(rois.size());
    if (pooled_.h < count) pooled_.create(h.channels(), std::max(count, rois_));
    if (pooled_.empty()) throw std::bad_alloc();
    const PsRoiOptions options{static_cast<float>(parts_.anchors.stride), h.pool_size, h.sampling_ratio};
    ps_roi_align(map_of(sam), rois.data(), rois.size(), options, roi_workspace_, pooled_);
    return first_rows(pooled_, count);
}

ncnn::Mat TwoStagePipeline::head(const ncnn::Mat& roi_features) const {
    if (roi_features.empty()) return {};
    return head_.run(roi_features, roi_features.h)[0];
}

std::vector<Detection> TwoStagePipeline::boxes(const float* head, const std::vector<Box>& rois, Size source) {
    const std::ptrdiff_t columns = parts_.head_columns;
    const HeadOutput output{head,        columns,     rois.empty() ? head : head + columns - 4, columns,
                            rois.data(), rois.size(), static_cast<size_t>(columns - 4)};
    std::vector<Detection> found;
    pocketdet::detect(output, detect_options_, detect_workspace_, found);
    to_original(found, source);
    return found;
}

std::vector<Check> TwoStagePipeline::compare(const Golden& golden, const Tolerances& tolerances) {
    std::vector<Check> checks;
    const Tolerance of_features{tolerances.features, 0, tolerances.least_snr_db};
    const Maps maps = features(mat_of(golden["normalised"]));
    const std::pair<const char*, const ncnn::Mat*> named[] = {
        {"rpn_scores", &maps.rpn_scores}, {"rpn_deltas", &maps.rpn_deltas}, {"sam", &maps.sam}};
    for (const auto& [role, map] : named) {
        const std::string name = std::string("features.") + role;
        checks.push_back(compare_array(name, golden[role], values_of(*map), of_features));
    }
    compare_proposals(golden, tolerances, checks);
    const std::vector<Box> rois = pocketdet::boxes_of(golden["proposal_boxes"]);
    const ncnn::Mat pooled = roi_features(mat_of(golden["sam"]), rois);
    checks.push_back(
        compare_array("roi_features", golden["roi_features"], values_of(pooled), {tolerances.roi_features, 0}));
    const ncnn::Mat rows = head(rois.empty() ? ncnn::Mat() : mat_of(golden["roi_features"]));
    const Tolerance of_head{tolerances.head, 0, tolerances.least_snr_db};
    checks.push_back(compare_array("head", golden["head"], values_of(rows), of_head));
    const Size source{golden.image.height, golden.image.width};
    checks.push_back(
        compare_detections("boxes", detections_of(golden), boxes(golden["head"].floats(), rois, source), tolerances));
    return checks;
}

void TwoStagePipeline::compare_proposals(const Golden& golden, const Tolerances& tolerances,
                                         std::vector<Check>& checks) {
    std::vector<double> indices;
    std::vector<Box> boxes;
    for (const Proposal& proposal : propose(mat_of(golden["rpn_scores"]), mat_of(golden["rpn_deltas"]))) {
        indices.push_back(proposal.index);
        boxes.push_back(proposal.box);
    }
    const Tolerance pixels{0, tolerances.proposal_pixels};
    checks.push_back(compare_array("proposals.anchors", golden["proposal_indices"], indices, {}));
    checks.push_back(compare_array("proposals.boxes", golden["proposal_boxes"], values_of(boxes), pixels));
}

}  // namespace pocketdet
