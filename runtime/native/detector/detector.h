// The whole detector: a bundle in, boxes out. The stages, core calls and numbers are those of runtime/pipeline.py.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "bundle.h"
#include "detections.h"
#include "image.h"
#include "network.h"
#include "proposals.h"
#include "psroi_align.h"
#include "resize.h"

namespace pocketdet {

// What a caller may choose; nothing means what the manifest says.
struct DetectorOptions {
    int threads = 1;  // the ncnn of this program runs one
    std::optional<Arithmetic> precision;  // what layers compute in that are not int8
    std::optional<double> score_threshold, nms_iou;  // 0..1
    std::optional<NmsMethod> nms;
    std::optional<int> rois, max_detections;  // 1..10000
};

constexpr std::array<const char*, 6> kStages = {"preprocess", "features", "proposals", "roi_align", "head", "boxes"};
using StageTimes = std::array<double, kStages.size()>;  // wall milliseconds

struct Detections {
    std::vector<Detection> found;  // best first; boxes in pixels of the image given
    StageTimes milliseconds;
    size_t rois;  // proposals that the head saw
};

// The maps of one image. They belong to the detector that made them.
struct Maps {
    ncnn::Mat rpn_scores, rpn_deltas, sam;
};

// Not safe from several threads at once: it keeps its workspaces. Make one per thread.
class Detector {
public:
    // Throws GraphError or EngineError for networks that cannot run, UsageError for an option out of its range.
    explicit Detector(const Bundle& bundle, const DetectorOptions& options = {});

    const Manifest& manifest() const { return manifest_; }
    Arithmetic asked() const { return asked_; }          // by the options, else the narrowest of the bundle's graphs
    Arithmetic precision() const { return precision_; }  // in use on this processor

    // Throws ImageError for an image without pixels or of more than 32767 a side, EngineError.
    Detections detect(const ImageView& image);

    // The stages by themselves. What preprocess and roi_features return is overwritten by their next call.
    std::vector<uint8_t> resize(const ImageView& image);
    ncnn::Mat preprocess(const ImageView& image);
    Maps features(const ncnn::Mat& tensor) const;
    std::vector<Proposal> propose(const FeatureMap& scores, const FeatureMap& deltas);
    // (R, alpha * p * p)
    ncnn::Mat roi_features(const FeatureMap& sam, const std::vector<Box>& rois);
    // (R, classes + 1 + 4); for no RoIs nothing is run and the result is empty
    ncnn::Mat head(const ncnn::Mat& roi_features) const;
    // `head`: rows of manifest().head_columns() floats, one per RoI
    std::vector<Detection> boxes(const float* head, const std::vector<Box>& rois, Size source);

private:
    Manifest manifest_;
    Arithmetic asked_, precision_;
    int rois_;
    DetectOptions detect_options_;
    NormaliseTable normalise_;
    Network features_, head_;
    // Made once: glibc before 2.38 does not find freed aligned memory again, and would grow with every frame.
    ncnn::Mat tensor_, pooled_;
    ResizeWorkspace resize_workspace_;
    ProposalWorkspace proposal_workspace_;
    PsRoiWorkspace roi_workspace_;
    DetectWorkspace detect_workspace_;
};

// Throws ImageError unless the core can take it.
void check_image(const ImageView& image);

// A Mat of three dimensions as the core sees it.
FeatureMap map_of(const ncnn::Mat& mat);

}  // namespace pocketdet
