// The stages of a two-stage detector around its networks: proposals, RoI features, detections.
#include "arrays.h"
#include "detections.h"
#include "proposals.h"
#include "ps_roi_align.h"
#include "rules.h"

namespace pocketdet::python {

using namespace nb::literals;

namespace {

void check_channels(const char* name, const FeatureMap& map, int64_t channels, int height, int width) {
    if (map.channels == channels && map.height == height && map.width == width) return;
    const auto shape = [](int64_t c, int h, int w) {
        return "(" + std::to_string(c) + ", " + std::to_string(h) + ", " + std::to_string(w) + ")";
    };
    reject(name, "shape " + shape(channels, height, width), shape(map.channels, map.height, map.width));
}

nb::tuple bound_propose(nb::handle scores, nb::handle deltas, nb::handle sizes, double stride, Pair image_size,
                        int64_t pre_nms_top_n, int64_t post_nms_top_n, double nms_iou, double min_size) {
    const MapArgument score_map = load_map(scores, "scores");
    const MapArgument delta_map = load_map(deltas, "deltas");
    const ReadArray size_array =
        load_array(sizes, "sizes", nb::dtype<float>(), "a float32 array of shape (A, 2)", {-1, 2});
    const int64_t size_count = check_range("anchors in sizes", static_cast<int64_t>(size_array.shape(0)), 1, 4096);
    const int height = score_map.map.height;
    const int width = score_map.map.width;
    check_channels("scores", score_map.map, 2 * size_count, height, width);
    check_channels("deltas", delta_map.map, 4 * size_count, height, width);
    const AnchorGrid grid{height, width, check_positive("stride", stride), floats_of(size_array),
                          static_cast<int>(size_count)};
    check_range("anchors", static_cast<int64_t>(grid.count()), 1, kMaxBoxes);
    ProposalOptions options{};
    options.image = check_size("image_size", image_size);
    options.pre_nms_top_n = static_cast<size_t>(check_range("pre_nms_top_n", pre_nms_top_n, 1, kMaxBoxes));
    options.post_nms_top_n = static_cast<size_t>(check_range("post_nms_top_n", post_nms_top_n, 1, kMaxBoxes));
    options.nms_iou = check_range("nms_iou", nms_iou, 0.0, 1.0);
    options.min_size = check_range("min_size", min_size, 0.0, 32767.0);
    std::vector<Proposal> proposals;
    {
        nb::gil_scoped_release released;
        ProposalWorkspace workspace;
        propose(score_map.map, delta_map.map, grid, options, workspace, proposals);
    }
    Result<float> boxes({proposals.size(), 4});
    Result<int32_t> indices({proposals.size()});
    Result<float> logits({proposals.size()});
    for (size_t i = 0; i < proposals.size(); ++i) {
        reinterpret_cast<Box*>(boxes.data())[i] = proposals[i].box;
        indices.data()[i] = proposals[i].index;
        logits.data()[i] = proposals[i].logit;
    }
    return nb::make_tuple(boxes.release(), indices.release(), logits.release());
}

nb::object bound_ps_roi_align(nb::handle features, nb::handle rois, double stride, int64_t pool_size,
                              int64_t sampling_ratio) {
    const MapArgument feature_map = load_map(features, "features");
    const ReadArray roi_array = load_boxes(rois, "rois");
    const PsRoiOptions options{check_positive("stride", stride),
                               static_cast<int>(check_range("pool_size", pool_size, 1, 64)),
                               static_cast<int>(check_range("sampling_ratio", sampling_ratio, 1, 16))};
    const int bins = options.pool_size * options.pool_size;
    if (feature_map.map.channels % bins != 0) {
        reject("features", "a multiple of pool_size^2 = " + std::to_string(bins) + " channels",
               std::to_string(feature_map.map.channels));
    }
    const size_t count = roi_array.shape(0);
    const size_t channels = static_cast<size_t>(feature_map.map.channels);
    check_range("rois x channels", static_cast<int64_t>(count * channels), 0, kMaxElements);
    Result<float> pooled({count, channels});
    {
        nb::gil_scoped_release released;
        PsRoiWorkspace workspace;
        ps_roi_align(feature_map.map, boxes_of(roi_array), count, options, workspace, pooled.data());
    }
    return pooled.release();
}

nb::tuple bound_detect(nb::handle logits, nb::handle deltas, nb::handle rois, const std::array<double, 4>& delta_std,
                       Pair image_size, double score_threshold, const std::string& nms, double nms_iou, double sigma,
                       int64_t max_detections, bool per_class) {
    const ReadArray roi_array = load_boxes(rois, "rois");
    const size_t count = roi_array.shape(0);
    const int64_t rows = static_cast<int64_t>(count);
    const std::string expected = "a float32 array of shape (" + std::to_string(count) + ", C), C >= 2";
    const ReadArray logit_array = load_rows(logits, "logits", expected.c_str(), rows, -1);
    const std::string expected_deltas = "a float32 array of shape (" + std::to_string(count) + ", 4)";
    const ReadArray delta_array = load_rows(deltas, "deltas", expected_deltas.c_str(), rows, 4);
    const size_t classes = logit_array.shape(1);
    if (classes < 2) reject("logits", expected, logits);
    DetectOptions options{};
    const std::array<float, 4> std_values = check_finite("delta_std", delta_std, true);
    std::copy(std_values.begin(), std_values.end(), options.delta_std);
    options.image = check_size("image_size", image_size);
    options.rule = load_rule({"nms", "nms_iou"}, nms, nms_iou, sigma, score_threshold);
    options.max_detections = static_cast<size_t>(check_range("max_detections", max_detections, 1, kMaxBoxes));
    options.per_class = per_class;
    const HeadOutput head{floats_of(logit_array),
                          static_cast<std::ptrdiff_t>(logit_array.stride(0)),
                          floats_of(delta_array),
                          static_cast<std::ptrdiff_t>(delta_array.stride(0)),
                          boxes_of(roi_array),
                          count,
                          classes};
    std::vector<Detection> detections;
    {
        nb::gil_scoped_release released;
        DetectWorkspace workspace;
        detect(head, options, workspace, detections);
    }
    return to_tuple(detections);
}

}  // namespace

void bind_stages(nb::module_& module) {
    module.def(
        "propose", &bound_propose, "scores"_a, "deltas"_a, "sizes"_a, "stride"_a, "image_size"_a, "pre_nms_top_n"_a,
        "post_nms_top_n"_a, "nms_iou"_a, "min_size"_a,
        "Regions of interest from an RPN's maps (ThunderNet, section 3.2).\n\n"
        "`scores` (2A, h, w) holds A background, then A foreground logits; `deltas` (4A, h, w) channel 4a + k is\n"
        "coordinate k; `sizes` (A, 2) the anchors' widths and heights in pixels. Planes may lie at any distance.\n"
        "The best `pre_nms_top_n` anchors are decoded and clipped to `image_size` (height, width), boxes with a\n"
        "side below `min_size` pixels dropped, and greedy NMS stops at `post_nms_top_n`.\n"
        "Returns boxes (R, 4) best first, int32 anchor indices (R,), objectness logits (R,).");
    module.def(
        "ps_roi_align", &bound_ps_roi_align, "features"_a, "rois"_a, "stride"_a, "pool_size"_a, "sampling_ratio"_a,
        "Position-sensitive RoI align of all RoIs (R, 4) in network pixels on features (alpha * p * p, h, w).\n\n"
        "Element (c * p + i) * p + j of a row is bin (i, j) of output channel c: (R, alpha * p * p).\n"
        "A RoI with a coordinate that is not finite gives zeros.");
    module.def(
        "detect", &bound_detect, "logits"_a, "deltas"_a, "rois"_a, "delta_std"_a, "image_size"_a, "score_threshold"_a,
        "nms"_a = "hard", "nms_iou"_a = 0.5, "sigma"_a = 0.5, "max_detections"_a = 100, "per_class"_a = true,
        "Detections from a head's logits (R, C), background first, and class-agnostic deltas (R, 4).\n\n"
        "Rows of both may lie at any distance, so slices of one matrix will do.\n"
        "Softmax, decode, NMS ('hard', 'linear' or 'gaussian'; within each class, or with `per_class` false over\n"
        "all classes), then the best `max_detections`.\n"
        "Returns boxes (D, 4) in network pixels, scores (D,), int32 labels (D,) without background,\n"
        "int32 RoI indices (D,); by score, then label, then RoI.");
}

}  // namespace pocketdet::python
