// Greedy and soft non-maximum suppression.
#include "arrays.h"
#include "nms.h"
#include "rules.h"

namespace pocketdet::python {

using namespace nb::literals;

NmsRule load_rule(const RuleNames& names, const std::string& method, double iou_threshold, double sigma,
                  double score_threshold) {
    NmsRule rule{};
    if (method == "hard") {
        rule.method = NmsMethod::hard;
    } else if (method == "linear") {
        rule.method = NmsMethod::linear;
    } else if (method == "gaussian") {
        rule.method = NmsMethod::gaussian;
    } else {
        reject(names.method, "'hard', 'linear' or 'gaussian'", "'" + method + "'");
    }
    rule.iou_threshold = check_range(names.iou_threshold, iou_threshold, 0.0, 1.0);
    rule.sigma = check_positive("sigma", sigma);
    rule.score_threshold = check_range("score_threshold", score_threshold, 0.0, 1.0);
    return rule;
}

static ReadArray load_scores(nb::handle scores, size_t count) {
    const std::string expected = "a float32 array of shape (" + std::to_string(count) + ",), one score per box";
    return load_array(scores, "scores", nb::dtype<float>(), expected.c_str(), {static_cast<int64_t>(count)});
}

static nb::object bound_nms(nb::handle boxes, nb::handle scores, double iou_threshold, int64_t max_keep) {
    const ReadArray box_array = load_boxes(boxes, "boxes");
    const size_t count = box_array.shape(0);
    const ReadArray score_array = load_scores(scores, count);
    const float threshold = check_range("iou_threshold", iou_threshold, 0.0, 1.0);
    const size_t limit = static_cast<size_t>(check_range("max_keep", max_keep, 0, kMaxBoxes));
    std::vector<int32_t> keep;
    {
        nb::gil_scoped_release released;
        NmsWorkspace workspace;
        greedy_nms(boxes_of(box_array), floats_of(score_array), count, threshold, limit, workspace, keep);
    }
    Result<int32_t> indices({keep.size()});
    std::copy(keep.begin(), keep.end(), indices.data());
    return indices.release();
}

static nb::tuple bound_soft_nms(nb::handle boxes, nb::handle scores, const std::string& method, double iou_threshold,
                                double sigma, double score_threshold) {
    const ReadArray box_array = load_boxes(boxes, "boxes");
    const size_t count = box_array.shape(0);
    const ReadArray score_array = load_scores(scores, count);
    if (method != "linear" && method != "gaussian") reject("method", "'linear' or 'gaussian'", "'" + method + "'");
    const NmsRule rule = load_rule({"method", "iou_threshold"}, method, iou_threshold, sigma, score_threshold);
    std::vector<Candidate> survivors;
    {
        nb::gil_scoped_release released;
        std::vector<Candidate> pool;
        soft_nms(boxes_of(box_array), floats_of(score_array), count, rule, pool, survivors);
    }
    Result<int32_t> indices({survivors.size()});
    Result<float> decayed({survivors.size()});
    for (size_t i = 0; i < survivors.size(); ++i) {
        indices.data()[i] = survivors[i].index;
        decayed.data()[i] = survivors[i].score;
    }
    return nb::make_tuple(indices.release(), decayed.release());
}

void bind_nms(nb::module_& module) {
    module.def("nms", &bound_nms, "boxes"_a, "scores"_a, "iou_threshold"_a, "max_keep"_a = 0,
               "Greedy NMS: int32 indices of the kept boxes (N, 4), highest of the scores (N,) first.\n\n"
               "Ties go to the lower index; boxes with a score or coordinate that is not finite are dropped.\n"
               "Stops at `max_keep` boxes unless that is 0.");
    module.def("soft_nms", &bound_soft_nms, "boxes"_a, "scores"_a, "method"_a, "iou_threshold"_a, "sigma"_a,
               "score_threshold"_a,
               "Soft-NMS (Bodla et al. 2017): int32 indices in the order in which boxes are taken, float32 scores.\n\n"
               "`method` 'linear' multiplies scores by 1 - iou above `iou_threshold`, 'gaussian' by\n"
               "exp(-iou^2 / sigma); what is not above `score_threshold` is dropped.");
}

}  // namespace pocketdet::python
