#include "detector.h"

#include <algorithm>
#include <chrono>
#include <new>

#include "errors.h"

namespace pocketdet {

namespace {

template <typename Number>
void check_option(const char* name, const std::optional<Number>& value, Number low, Number high) {
    if (value && !(*value >= low && *value <= high)) {
        throw UsageError(std::string(name) + "=" + std::to_string(*value) + ": expected a number from " +
                         std::to_string(low) + " to " + std::to_string(high));
    }
}

const DetectorOptions& checked(const DetectorOptions& options) {
    if (options.threads != 1) {
        throw UsageError("threads=" + std::to_string(options.threads) +
                         ": expected 1, since this program's ncnn is built for single-thread inference");
    }
    check_option("score_threshold", options.score_threshold, 0.0, 1.0);
    check_option("nms_iou", options.nms_iou, 0.0, 1.0);
    check_option("rois", options.rois, 1, 10'000);
    check_option("max_detections", options.max_detections, 1, 10'000);
    return options;
}

DetectOptions detect_options(const Manifest& manifest, const DetectorOptions& options) {
    DetectOptions detect{};
    std::copy(manifest.roi_head.delta_std.begin(), manifest.roi_head.delta_std.end(), detect.delta_std);
    detect.image = manifest.input;
    detect.rule = manifest.postprocessing.rule;
    if (options.nms) detect.rule.method = *options.nms;
    if (options.nms_iou) detect.rule.iou_threshold = static_cast<float>(*options.nms_iou);
    if (options.score_threshold) detect.rule.score_threshold = static_cast<float>(*options.score_threshold);
    detect.max_detections =
        static_cast<size_t>(options.max_detections.value_or(manifest.postprocessing.max_detections));
    return detect;
}

// Wall time between calls, in milliseconds.
class Stopwatch {
public:
    double lap() {
        const auto now = std::chrono::steady_clock::now();
        const std::chrono::duration<double, std::milli> span = now - last_;
        last_ = now;
        return span.count();
    }

private:
    std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

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

Detector::Detector(const Bundle& bundle, const DetectorOptions& options)
    : manifest_(bundle.manifest),
      asked_(checked(options).precision.value_or(manifest_.arithmetic())),
      precision_(arithmetic_in_use(asked_)),
      rois_(options.rois.value_or(manifest_.proposals.post_nms_top_n)),
      detect_options_(detect_options(manifest_, options)),
      normalise_(make_normalise_table(manifest_.preprocessing.mean.data(), manifest_.preprocessing.std.data())),
      features_(manifest_.features, bundle.features_param, bundle.features_bin,
                options.precision.value_or(manifest_.features.arithmetic), bundle.folder.path()),
      head_(manifest_.head, bundle.head_param, bundle.head_bin, options.precision.value_or(manifest_.head.arithmetic),
            bundle.folder.path()) {}

Detections Detector::detect(const ImageView& image) {
    check_image(image);
    Detections result{};
    Stopwatch watch;
    const ncnn::Mat tensor = preprocess(image);
    result.milliseconds[0] = watch.lap();
    const Maps maps = features(tensor);
    result.milliseconds[1] = watch.lap();
    const std::vector<Box> rois = boxes_of(propose(map_of(maps.rpn_scores), map_of(maps.rpn_deltas)));
    result.milliseconds[2] = watch.lap();
    const ncnn::Mat pooled = roi_features(map_of(maps.sam), rois);
    result.milliseconds[3] = watch.lap();
    const ncnn::Mat rows = head(pooled);
    result.milliseconds[4] = watch.lap();
    result.found = boxes(rows, rois, {image.height, image.width});
    result.milliseconds[5] = watch.lap();
    result.rois = rois.size();
    return result;
}

std::vector<uint8_t> Detector::resize(const ImageView& image) {
    check_image(image);
    const Preprocessing& p = manifest_.preprocessing;
    std::vector<uint8_t> out(size_t{3} * static_cast<size_t>(manifest_.input.height) *
                             static_cast<size_t>(manifest_.input.width));
    resize_to_bytes(image, {manifest_.input, p.resize, p.order, p.pad}, resize_workspace_, out.data());
    return out;
}

ncnn::Mat Detector::preprocess(const ImageView& image) {
    const Preprocessing& p = manifest_.preprocessing;
    tensor_.create(manifest_.input.width, manifest_.input.height, 3);  // nothing to do but for the first time
    if (tensor_.empty()) throw std::bad_alloc();
    resize_to_planes(image, {manifest_.input, p.resize, p.order, p.pad}, normalise_, resize_workspace_, tensor_,
                     static_cast<std::ptrdiff_t>(tensor_.cstep));
    return tensor_;
}

Maps Detector::features(const ncnn::Mat& tensor) const {
    const std::vector<ncnn::Mat> outputs = features_.run(tensor, 0);
    Maps maps;
    for (size_t i = 0; i < outputs.size(); ++i) {
        const std::string& role = manifest_.features.outputs[i].role;
        (role == "sam" ? maps.sam : role == "rpn_scores" ? maps.rpn_scores : maps.rpn_deltas) = outputs[i];
    }
    return maps;
}

std::vector<Proposal> Detector::propose(const FeatureMap& scores, const FeatureMap& deltas) {
    const Anchors& anchors = manifest_.anchors;
    const AnchorGrid grid{scores.height, scores.width, static_cast<float>(anchors.stride), anchors.sizes.data(),
                          anchors.count()};
    const Proposals& p = manifest_.proposals;
    const ProposalOptions options{manifest_.input, static_cast<size_t>(p.pre_nms_top_n), static_cast<size_t>(rois_),
                                  p.nms_iou, p.min_size};
    std::vector<Proposal> proposals;
    pocketdet::propose(scores, deltas, grid, options, proposal_workspace_, proposals);
    return proposals;
}

ncnn::Mat Detector::roi_features(const FeatureMap& sam, const std::vector<Box>& rois) {
    if (rois.empty()) return {};
    const RoiHead& h = manifest_.roi_head;
    const int count = static_cast<int>(rois.size());
    if (pooled_.h < count) pooled_.create(h.channels(), std::max(count, rois_));
    if (pooled_.empty()) throw std::bad_alloc();
    const PsRoiOptions options{static_cast<float>(manifest_.anchors.stride), h.pool_size, h.sampling_ratio};
    psroi_align(sam, rois.data(), rois.size(), options, roi_workspace_, pooled_);
    return first_rows(pooled_, count);
}

ncnn::Mat Detector::head(const ncnn::Mat& roi_features) const {
    if (roi_features.empty()) return {};
    return head_.run(roi_features, roi_features.h)[0];
}

std::vector<Detection> Detector::boxes(const float* head, const std::vector<Box>& rois, Size source) {
    const std::ptrdiff_t columns = manifest_.head_columns();
    const HeadOutput output{head,
                            columns,
                            rois.empty() ? head : head + columns - 4,
                            columns,
                            rois.data(),
                            rois.size(),
                            static_cast<size_t>(columns - 4)};
    std::vector<Detection> found;
    pocketdet::detect(output, detect_options_, detect_workspace_, found);
    for (Detection& detection : found) {
        detection.box = to_original(detection.box, source, manifest_.input, manifest_.preprocessing.resize);
    }
    return found;
}

void check_image(const ImageView& image) {
    if (image.pixels == nullptr || image.width < 1 || image.height < 1) {
        throw ImageError("expected a picture with pixels, found " + std::to_string(image.width) + " x " +
                         std::to_string(image.height));
    }
    if (image.width > kMaxImageSide || image.height > kMaxImageSide) {
        throw ImageError("expected at most " + std::to_string(kMaxImageSide) + " pixels a side, found " +
                         std::to_string(image.width) + " x " + std::to_string(image.height));
    }
}

FeatureMap map_of(const ncnn::Mat& mat) {
    return {static_cast<const float*>(mat.data), static_cast<std::ptrdiff_t>(mat.cstep), mat.c, mat.h, mat.w};
}

}  // namespace pocketdet
