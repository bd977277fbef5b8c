// The fields of a two-stage detector (runtime/bundle/two_stage.py).
#include <algorithm>

#include "errors.h"
#include "manifest_fields.h"

namespace pocketdet {

namespace {

constexpr int64_t kMaxElements = int64_t{1} << 28;

Anchors load_anchors(const Field& field) {
    Record record(field);
    Anchors anchors{load_int(record.need("stride"), 1, 256), {}};
    for (const Field& size : record.need("sizes").list(1, 256)) {
        for (const float side : load_tuple<2>(size, load_positive)) anchors.sizes.push_back(side);
    }
    record.finish();
    return anchors;
}

Proposals load_proposals(const Field& field) {
    Record record(field);
    const Proposals proposals{
        load_int(record.need("pre_nms_top_n"), 1, 100'000), load_int(record.need("post_nms_top_n"), 1, 10'000),
        load_unit_interval(record.need("nms_iou")), static_cast<float>(record.need("min_size").number(0, 4096))};
    record.finish();
    return proposals;
}

RoiHead load_roi_head(const Field& field) {
    Record record(field);
    const RoiHead head{load_int(record.need("alpha"), 1, 64), load_int(record.need("pool_size"), 1, 32),
                       load_int(record.need("sampling_ratio"), 1, 8),
                       load_tuple<4>(record.need("delta_std"), load_positive)};
    record.finish();
    return head;
}

Postprocessing load_postprocessing(const Field& field, int version) {
    Record record(field);
    Postprocessing post{};
    post.rule.score_threshold = load_unit_interval(record.need("score_threshold"));
    const std::string method = record.need("nms").one_of({"hard", "linear", "gaussian"});
    post.rule.method = method == "hard"     ? NmsMethod::hard
                       : method == "linear" ? NmsMethod::linear
                                            : NmsMethod::gaussian;
    post.rule.iou_threshold = load_unit_interval(record.need("nms_iou"));
    post.rule.sigma = load_positive(record.need("sigma"));
    post.max_detections = load_int(record.need("max_detections"), 1, 10'000);
    if (const auto per_class = version >= 6 ? record.maybe("per_class") : std::nullopt) {
        post.per_class = per_class->boolean();
    }
    record.finish();
    return post;
}

void check_shape(const char* graph, const TensorSpec& tensor, const char* role, const std::vector<int>& expected,
                 const std::string& label) {
    if (tensor.role == role && tensor.shape == expected) return;
    throw BundleError(label + ": blob '" + role + "' of graph '" + graph + "': expected shape " +
                      tensor_shape(expected) + ", found '" + tensor.role + "' of shape " + tensor_shape(tensor.shape));
}

void check_stages(const TwoStageParts& parts, Size input, const std::string& label) {
    const int rows = input.height / parts.anchors.stride;
    const int columns = input.width / parts.anchors.stride;
    const int thin = parts.roi_head.channels();
    check_shape("features", parts.features.input, "image", {3, input.height, input.width}, label);
    check_shape("head", parts.head.input, "roi_features", {kAnyCount, thin}, label);
    if (parts.features.outputs.size() != 3 || parts.head.outputs.size() != 1) {
        throw BundleError(label + ": expected 3 outputs of graph 'features' and 1 of 'head', found " +
                          std::to_string(parts.features.outputs.size()) + " and " +
                          std::to_string(parts.head.outputs.size()));
    }
    const int per_cell = parts.anchors.count();
    const struct {
        const char* role;
        int channels;
    } maps[] = {{"rpn_scores", 2 * per_cell}, {"rpn_deltas", 4 * per_cell}, {"sam", thin}};
    for (const auto& map : maps) {
        check_shape("features", parts.features.output(map.role), map.role, {map.channels, rows, columns}, label);
    }
    check_shape("head", parts.head.outputs[0], "class_logits_and_deltas", {kAnyCount, parts.head_columns}, label);
    if (int64_t{parts.proposals.post_nms_top_n} * std::max(thin, parts.head_columns) > kMaxElements) {
        throw BundleError(label + ": " + std::to_string(parts.proposals.post_nms_top_n) + " RoIs of " +
                          std::to_string(thin) + " features are more than this program runs");
    }
}

}  // namespace

TwoStageParts load_two_stage(Record& record, const Manifest& manifest, ManifestReader& reader) {
    TwoStageParts parts{};
    Record graphs(record.need("graphs"));
    parts.features = reader.graph(graphs.need("features"));
    parts.head = reader.graph(graphs.need("head"));
    graphs.finish();
    parts.features.has_int8 = parts.head.has_int8 = manifest.weight_storage == "int8";
    parts.anchors = load_anchors(record.need("anchors"));
    parts.proposals = load_proposals(record.need("proposals"));
    parts.roi_head = load_roi_head(record.need("roi_head"));
    parts.postprocessing = load_postprocessing(record.need("postprocessing"), reader.version);
    parts.head_columns = static_cast<int>(manifest.class_names.size()) + 1 + 4;
    check_stages(parts, manifest.input, reader.label);
    return parts;
}

}  // namespace pocketdet
