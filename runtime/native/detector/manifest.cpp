#include "manifest.h"

#include <algorithm>

#include "errors.h"
#include "json_fields.h"

namespace pocketdet {

namespace {

// The bounds of runtime/bundle/schema.py; they keep every number finite, and every divisor above zero, as float32.
constexpr double kMost = 1e6;
constexpr double kLeast = 1e-6;
constexpr int kMaxSide = 4096;
constexpr int64_t kMaxElements = int64_t{1} << 28;

std::string text(const Field& field) { return field.text(1, 200); }

int integer(const Field& field, int low, int high) { return static_cast<int>(field.integer(low, high)); }

float unit_interval(const Field& field) { return static_cast<float>(field.number(0, 1)); }

float positive(const Field& field) { return static_cast<float>(field.number(kLeast, kMost)); }

template <size_t count, typename Convert>
auto tuple_of(const Field& field, Convert convert) {
    std::array<decltype(convert(field)), count> values{};
    const std::vector<Field> elements = field.list(count, count);
    for (size_t i = 0; i < count; ++i) values[i] = convert(elements[i]);
    return values;
}

// A map from names to strings that this program has no use for, checked all the same.
void check_notes(const Field& field, size_t most, size_t shortest, size_t longest) {
    Record record(field);
    if (field.value().size() > most) field.fail("at most " + std::to_string(most) + " entries");
    for (const auto& item : field.value().items()) record.need(item.key().c_str()).text(shortest, longest);
}

TensorSpec load_tensor(const Field& field) {
    Record record(field);
    TensorSpec tensor{text(record.need("blob")), text(record.need("role")), {}};
    for (const Field& side : record.need("shape").list(1, 4)) {
        tensor.shape.push_back(side.value().is_null() ? kAnyCount : integer(side, 1, kMaxSide));
    }
    record.finish();
    return tensor;
}

GraphSpec load_graph(const Field& field, int version, std::vector<std::string>& paths) {
    Record record(field);
    GraphSpec graph;
    graph.param = text(record.need("param"));
    graph.bin = text(record.need("bin"));
    paths.insert(paths.end(), {graph.param, graph.bin});
    for (const char* optional : {"onnx", "lane_layouts"}) {
        if (record.has(optional)) paths.push_back(text(record.need(optional)));
    }
    graph.input = load_tensor(record.need("inputs").list(1, 1)[0]);
    for (const Field& output : record.need("outputs").list(1, 64)) graph.outputs.push_back(load_tensor(output));
    if (version > 1 && record.has("arithmetic")) {
        graph.arithmetic = arithmetic_of(record.need("arithmetic").one_of(kArithmetics));
    }
    if (record.has("layer_sources")) check_notes(record.need("layer_sources"), 20'000, 1, 200);
    record.finish();
    return graph;
}

Preprocessing load_preprocessing(const Field& field) {
    Record record(field);
    Preprocessing p{};
    p.order = record.need("channel_order").one_of({"RGB", "BGR"}) == "RGB" ? ChannelOrder::rgb : ChannelOrder::bgr;
    const auto finite = [](const Field& f) { return static_cast<float>(f.number(-kMost, kMost)); };
    p.mean = tuple_of<3>(record.need("mean"), finite);
    p.std = tuple_of<3>(record.need("std"), positive);
    const bool stretch = record.need("resize").one_of({"stretch", "letterbox"}) == "stretch";
    p.resize = stretch ? ResizeRule::stretch : ResizeRule::letterbox;
    p.pad = tuple_of<3>(record.need("pad"), [](const Field& f) { return static_cast<uint8_t>(f.integer(0, 255)); });
    record.finish();
    return p;
}

Anchors load_anchors(const Field& field) {
    Record record(field);
    Anchors anchors{integer(record.need("stride"), 1, 256), {}};
    for (const Field& size : record.need("sizes").list(1, 256)) {
        for (const float side : tuple_of<2>(size, positive)) anchors.sizes.push_back(side);
    }
    record.finish();
    return anchors;
}

Proposals load_proposals(const Field& field) {
    Record record(field);
    const Proposals proposals{integer(record.need("pre_nms_top_n"), 1, 100'000),
                              integer(record.need("post_nms_top_n"), 1, 10'000), unit_interval(record.need("nms_iou")),
                              static_cast<float>(record.need("min_size").number(0, 4096))};
    record.finish();
    return proposals;
}

RoiHead load_roi_head(const Field& field) {
    Record record(field);
    const RoiHead head{integer(record.need("alpha"), 1, 64), integer(record.need("pool_size"), 1, 32),
                       integer(record.need("sampling_ratio"), 1, 8), tuple_of<4>(record.need("delta_std"), positive)};
    record.finish();
    return head;
}

Postprocessing load_postprocessing(const Field& field) {
    Record record(field);
    Postprocessing post{};
    post.rule.score_threshold = unit_interval(record.need("score_threshold"));
    const std::string method = record.need("nms").one_of({"hard", "linear", "gaussian"});
    post.rule.method = method == "hard"     ? NmsMethod::hard
                       : method == "linear" ? NmsMethod::linear
                                            : NmsMethod::gaussian;
    post.rule.iou_threshold = unit_interval(record.need("nms_iou"));
    post.rule.sigma = positive(record.need("sigma"));
    post.max_detections = integer(record.need("max_detections"), 1, 10'000);
    record.finish();
    return post;
}

void load_layout(const Field& field, int version, Manifest& manifest) {
    Record record(field);
    manifest.weight_storage = record.need("weight_storage").one_of({"fp32", "fp16", "int8"});
    const Field lanes = record.need("lanes");
    manifest.lanes = integer(lanes, 1, 16);
    if (manifest.lanes == 2 || (manifest.lanes & (manifest.lanes - 1)) != 0) lanes.fail("1, 4, 8 or 16");
    if (record.has("target")) manifest.target = text(record.need("target"));
    if (version > 1 && record.has("fp32_modules")) {
        for (const Field& module : record.need("fp32_modules").list(0, 20'000)) text(module);
    }
    record.finish();
}

std::map<std::string, FileEntry> load_files(const Field& field, const std::string& label) {
    Record every(field);
    if (field.value().size() > 64) field.fail("at most 64 files");
    std::map<std::string, FileEntry> files;
    uint64_t total = 0;
    for (const auto& item : field.value().items()) {
        if (!is_safe_path(item.key()) || item.key() == kManifestName) {
            throw BundleError(label + ": file name '" + item.key().substr(0, 100) +
                              "' is not a plain path inside the bundle");
        }
        Record record(every.need(item.key().c_str()));
        FileEntry entry;
        entry.size = static_cast<uint64_t>(record.need("size").integer(0, int64_t{1} << 31));
        const Field hash = record.need("sha256");
        entry.sha256 = hash.text(64, 64);
        if (entry.sha256.find_first_not_of("0123456789abcdef") != std::string::npos) hash.fail("64 hex digits");
        record.finish();
        total += entry.size;
        files[item.key()] = entry;
    }
    if (total > kMaxBundleBytes) field.fail("files of at most " + std::to_string(kMaxBundleBytes) + " bytes in all");
    return files;
}

std::string shape_text(const std::vector<int>& shape) {
    std::string text;
    for (const int side : shape) {
        text += (text.empty() ? "(" : ", ") + (side == kAnyCount ? "RoIs" : std::to_string(side));
    }
    return text + ")";
}

void check_shape(const char* graph, const TensorSpec& tensor, const char* role, const std::vector<int>& expected,
                 const std::string& label) {
    if (tensor.role == role && tensor.shape == expected) return;
    throw BundleError(label + ": blob '" + role + "' of graph '" + graph + "': expected shape " + shape_text(expected) +
                      ", found '" + tensor.role + "' of shape " + shape_text(tensor.shape));
}

void check_stages(const Manifest& m, const std::string& label) {
    const int rows = m.input.height / m.anchors.stride;
    const int columns = m.input.width / m.anchors.stride;
    const int thin = m.roi_head.channels();
    check_shape("features", m.features.input, "image", {3, m.input.height, m.input.width}, label);
    check_shape("head", m.head.input, "roi_features", {kAnyCount, thin}, label);
    if (m.features.outputs.size() != 3 || m.head.outputs.size() != 1) {
        throw BundleError(label + ": expected 3 outputs of graph 'features' and 1 of 'head', found " +
                          std::to_string(m.features.outputs.size()) + " and " + std::to_string(m.head.outputs.size()));
    }
    const int per_cell = m.anchors.count();
    const struct {
        const char* role;
        int channels;
    } maps[] = {{"rpn_scores", 2 * per_cell}, {"rpn_deltas", 4 * per_cell}, {"sam", thin}};
    for (const auto& map : maps) {
        check_shape("features", m.features.output(map.role), map.role, {map.channels, rows, columns}, label);
    }
    check_shape("head", m.head.outputs[0], "class_logits_and_deltas", {kAnyCount, m.head_columns()}, label);
    if (int64_t{m.proposals.post_nms_top_n} * std::max(thin, m.head_columns()) > kMaxElements) {
        throw BundleError(label + ": " + std::to_string(m.proposals.post_nms_top_n) + " RoIs of " +
                          std::to_string(thin) + " features are more than this program runs");
    }
}

int check_version(const Field& field, const std::string& label) {
    const Json& version = field.value();
    if (version.is_number_integer() && version.is_number_unsigned() && version.get<uint64_t>() > kSchemaVersion) {
        throw BundleError(label + ": schema_version " + version.dump() +
                          " needs a newer pocketdet-run, this one reads versions 1 to " +
                          std::to_string(kSchemaVersion));
    }
    return static_cast<int>(field.integer(1, kSchemaVersion));
}

}  // namespace

const TensorSpec& GraphSpec::output(const std::string& role) const {
    const auto found =
        std::find_if(outputs.begin(), outputs.end(), [&](const TensorSpec& output) { return output.role == role; });
    return found != outputs.end() ? *found : outputs.front();
}

Manifest parse_manifest(const std::vector<uint8_t>& data, const std::string& label) {
    const Json document = parse_json(data, label);
    if (!document.is_object()) throw BundleError(label + ": expected a JSON object, found another value");
    Record record(Field(document, "", label));
    const int version = check_version(record.need("schema_version"), label);
    Manifest m{};
    std::vector<std::string> paths;
    m.name = text(record.need("name"));
    record.need("task").one_of({"object-detection"});
    record.need("detector").one_of({"two-stage"});
    m.architecture = text(record.need("architecture"));
    Record input(record.need("input"));
    m.input = {integer(input.need("height"), 1, kMaxSide), integer(input.need("width"), 1, kMaxSide)};
    input.finish();
    for (const Field& name : record.need("class_names").list(1, 10'000)) m.class_names.push_back(text(name));
    m.preprocessing = load_preprocessing(record.need("preprocessing"));
    Record graphs(record.need("graphs"));
    m.features = load_graph(graphs.need("features"), version, paths);
    m.head = load_graph(graphs.need("head"), version, paths);
    graphs.finish();
    m.anchors = load_anchors(record.need("anchors"));
    m.proposals = load_proposals(record.need("proposals"));
    m.roi_head = load_roi_head(record.need("roi_head"));
    m.postprocessing = load_postprocessing(record.need("postprocessing"));
    load_layout(record.need("layout"), version, m);
    m.features.has_int8 = m.head.has_int8 = m.weight_storage == "int8";
    Record golden(record.need("golden"));
    m.golden_image = text(golden.need("image"));
    m.golden_stages = text(golden.need("stages"));
    golden.finish();
    paths.insert(paths.end(), {m.golden_image, m.golden_stages});
    if (record.has("reference_weights")) paths.push_back(text(record.need("reference_weights")));
    check_notes(record.need("tools"), 64, 0, kMaxManifestBytes);
    if (record.has("card")) check_notes(record.need("card"), 256, 0, kMaxManifestBytes);
    m.files = load_files(record.need("files"), label);
    record.finish();
    for (const std::string& path : paths) {
        if (!m.files.count(path)) throw BundleError(label + ": '" + path + "' is used but not listed under files");
    }
    check_stages(m, label);
    return m;
}

}  // namespace pocketdet
