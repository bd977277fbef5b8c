#include "manifest.h"

#include <algorithm>
#include <cstdio>
#include <set>

#include "errors.h"
#include "manifest_fields.h"

namespace pocketdet {

namespace {

constexpr double kMost = 1e6;
constexpr int kMaxSide = 4096;
constexpr int kMaxLength = 1 << 24;

TensorSpec load_tensor(const Field& field) {
    Record record(field);
    TensorSpec tensor{load_text(record.need("blob")), load_text(record.need("role")), {}};
    for (const Field& side : record.need("shape").list(1, 4)) {
        tensor.shape.push_back(side.is_null() ? kAnyCount : load_int(side, 1, kMaxLength));
    }
    record.finish();
    return tensor;
}

Preprocessing load_preprocessing(const Field& field) {
    Record record(field);
    Preprocessing p{};
    p.order = record.need("channel_order").one_of({"RGB", "BGR"}) == "RGB" ? ChannelOrder::rgb : ChannelOrder::bgr;
    const auto finite = [](const Field& f) { return static_cast<float>(f.number(-kMost, kMost)); };
    p.mean = load_tuple<3>(record.need("mean"), finite);
    p.std = load_tuple<3>(record.need("std"), load_positive);
    const std::string resize = record.need("resize").one_of({"stretch", "letterbox", "letterbox_top_left"});
    p.resize = resize == "stretch"     ? ResizeRule::stretch
               : resize == "letterbox" ? ResizeRule::letterbox
                                       : ResizeRule::letterbox_top_left;
    p.pad = load_tuple<3>(record.need("pad"), [](const Field& f) { return static_cast<uint8_t>(f.integer(0, 255)); });
    record.finish();
    return p;
}

void load_layout(const Field& field, int version, Manifest& manifest) {
    Record record(field);
    manifest.weight_storage = record.need("weight_storage").one_of({"fp32", "fp16", "int8"});
    const Field lanes = record.need("lanes");
    manifest.lanes = load_int(lanes, 1, 16);
    if (manifest.lanes == 2 || (manifest.lanes & (manifest.lanes - 1)) != 0) lanes.fail("1, 4, 8 or 16");
    if (record.has("target")) manifest.target = load_text(record.need("target"));
    if (const auto modules = version > 1 ? record.maybe("fp32_modules") : std::nullopt) {
        for (const Field& module : modules->list(0, 20'000)) load_text(module);
    }
    record.finish();
}

// Names of modules by blob.
void check_sources(const Field& field) {
    Record record(field);
    if (field.value().size() > 20'000) field.fail("at most 20000 entries");
    for (const auto& item : field.value().items()) load_text(record.need(item.key()));
}

// Names that are one on a file system without upper case, and files in what is a file.
void check_names(const std::map<std::string, FileEntry>& files, const std::string& label) {
    std::set<std::string> taken;
    for (const auto& [name, entry] : files) {
        std::string lower = name;
        for (char& c : lower) {
            if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
        }
        if (lower == kManifestName || !taken.insert(lower).second) {
            throw BundleError(label + ": two files have the name '" + name + "', or differ in upper case alone");
        }
    }
    for (const std::string& name : taken) {
        for (size_t slash = name.find('/'); slash != std::string::npos; slash = name.find('/', slash + 1)) {
            if (taken.count(name.substr(0, slash))) {
                throw BundleError(label + ": '" + name.substr(0, slash) + "' is listed as a file and as a folder");
            }
        }
    }
}

std::map<std::string, FileEntry> load_files(const Field& field, const std::string& label) {
    Record every(field);
    if (field.value().size() > 128) field.fail("at most 128 files");
    std::map<std::string, FileEntry> files;
    uint64_t total = 0;
    for (const auto& item : field.value().items()) {
        if (!is_safe_path(item.key())) {
            throw BundleError(label + ": file name '" + item.key().substr(0, 100) +
                              "' is not a plain path inside the bundle");
        }
        Record record(every.need(item.key()));
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
    check_names(files, label);
    return files;
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

void load_common(Record& record, Manifest& m, ManifestReader& reader) {
    m.name = load_text(record.need("name"));
    record.need("task").one_of({"object-detection"});
    m.architecture = load_text(record.need("architecture"));
    Record input(record.need("input"));
    m.input = {load_int(input.need("height"), 1, kMaxSide), load_int(input.need("width"), 1, kMaxSide)};
    input.finish();
    for (const Field& name : record.need("class_names").list(1, 10'000)) m.class_names.push_back(load_text(name));
    m.preprocessing = load_preprocessing(record.need("preprocessing"));
    load_layout(record.need("layout"), reader.version, m);
    Record golden(record.need("golden"));
    m.golden_image = load_text(golden.need("image"));
    m.golden_stages = load_text(golden.need("stages"));
    if (golden.has("score_threshold")) m.golden_score_threshold = golden.need("score_threshold").number(0, 1);
    golden.finish();
    reader.paths = {m.golden_image, m.golden_stages};
    if (record.has("reference_weights")) reader.paths.push_back(load_text(record.need("reference_weights")));
    check_notes(record.need("tools"), 64);
    if (const auto card = record.maybe("card")) check_notes(*card, 256);
    m.files = load_files(record.need("files"), reader.label);
}

// The manifest of one input size.
Manifest load_size(const Json& document, const std::string& label) {
    Record record(Field(document, "", label));
    ManifestReader reader{check_version(record.need("schema_version"), label), label, {}};
    const Field detector = record.need("detector");
    const bool two_stage = reader.version < 3 || detector.value() == "two-stage";
    reader.version < 3 ? detector.one_of({"two-stage"}) : detector.one_of({"two-stage", "one-stage"});
    Manifest m{};
    load_common(record, m, reader);
    if (two_stage) {
        m.parts = load_two_stage(record, m, reader);
    } else {
        m.parts = load_one_stage(record, m, reader);
    }
    record.finish();
    for (const std::string& path : reader.paths) {
        if (!m.files.count(path)) throw BundleError(label + ": '" + path + "' is used but not listed under files");
    }
    return m;
}

// `whole`, with the fields of a further input size in place of its own (Manifest.size_fields in Python).
Json at_size(const Json& whole, const Field& size, bool two_stage) {
    Json document = whole;
    Record record(size);
    for (const char* name : {"input", "graphs", "layout", "golden"}) document[name] = record.need(name).value();
    if (!two_stage) document["decode"] = record.need("decode").value();
    record.finish();
    return document;
}

// The manifests of all input sizes, the default one first.
std::vector<Manifest> load_sizes(Json document, const std::string& label) {
    if (!document.is_object()) throw BundleError(label + ": expected a JSON object, found another value");
    const int version = check_version(Record(Field(document, "", label)).need("schema_version"), label);
    std::optional<Json> further;
    if (version >= 5 && document.contains("sizes")) {
        further = std::move(document["sizes"]);
        document.erase("sizes");
    }
    std::vector<Manifest> every{load_size(document, label)};
    if (!further) return every;
    const bool two_stage = std::holds_alternative<TwoStageParts>(every[0].parts);
    for (const Field& size : Field(*further, "sizes", label).list(0, kMaxSizes - 1)) {
        const std::string place = label + ": sizes[" + std::to_string(every.size() - 1) + "]";
        Manifest m = load_size(at_size(document, size, two_stage), place);
        for (const Manifest& other : every) {
            if (other.input == m.input) {
                throw BundleError(place + ": input size " + size_text(m.input) + " is given twice");
            }
        }
        every.push_back(std::move(m));
    }
    return every;
}

}  // namespace

const TensorSpec& GraphSpec::output(const std::string& role) const {
    const auto found =
        std::find_if(outputs.begin(), outputs.end(), [&](const TensorSpec& output) { return output.role == role; });
    return found != outputs.end() ? *found : outputs.front();
}

const char* Manifest::detector() const {
    return std::holds_alternative<TwoStageParts>(parts) ? "two-stage" : "one-stage";
}

std::vector<const GraphSpec*> Manifest::graphs() const {
    if (const auto* two = std::get_if<TwoStageParts>(&parts)) return {&two->features, &two->head};
    return {&std::get<OneStageParts>(parts).model};
}

Arithmetic Manifest::arithmetic() const {
    Arithmetic narrowest = Arithmetic::fp32;
    for (const GraphSpec* graph : graphs()) narrowest = std::max(narrowest, graph->arithmetic);
    return narrowest;
}

void check_notes(const Field& field, size_t most) {
    Record record(field);
    if (field.value().size() > most) field.fail("at most " + std::to_string(most) + " entries");
    for (const auto& item : field.value().items()) record.need(item.key()).text(0, kMaxManifestBytes);
}

GraphSpec ManifestReader::graph(const Field& field) {
    Record record(field);
    GraphSpec graph;
    graph.param = load_text(record.need("param"));
    graph.bin = load_text(record.need("bin"));
    paths.insert(paths.end(), {graph.param, graph.bin});
    for (const char* optional : {"onnx", "lane_layouts"}) {
        if (record.has(optional)) paths.push_back(load_text(record.need(optional)));
    }
    graph.input = load_tensor(record.need("inputs").list(1, 1)[0]);
    for (const Field& output : record.need("outputs").list(1, 64)) graph.outputs.push_back(load_tensor(output));
    if (const auto arithmetic = version > 1 ? record.maybe("arithmetic") : std::nullopt) {
        graph.arithmetic = arithmetic_of(arithmetic->one_of(kArithmetics));
    }
    if (const auto sources = record.maybe("layer_sources")) check_sources(*sources);
    record.finish();
    return graph;
}

std::string tensor_shape(const std::vector<int>& shape) {
    std::string text;
    for (const int side : shape) {
        text += (text.empty() ? "(" : ", ") + (side == kAnyCount ? "RoIs" : std::to_string(side));
    }
    return text + ")";
}

std::string size_text(Size size) { return std::to_string(size.height) + "x" + std::to_string(size.width); }

Size parse_size(const std::string& text) {
    int height = 0;
    int width = 0;
    char rest = 0;
    const int count = std::sscanf(text.c_str(), "%5dx%5d%c", &height, &width, &rest);
    if (count == 1 && size_text({height, height}).rfind(text + "x", 0) == 0) return {height, height};
    if (count != 2 || size_text({height, width}) != text) {
        throw UsageError("input size '" + text.substr(0, 60) +
                         "': expected one side or HEIGHTxWIDTH, for example 320 or 320x480");
    }
    return {height, width};
}

Manifest parse_manifest(const std::vector<uint8_t>& data, const std::string& label, std::optional<Size> size) {
    std::vector<Manifest> every = load_sizes(parse_json(data, label), label);
    std::vector<Size> sizes;
    for (const Manifest& m : every) sizes.push_back(m.input);
    const auto chosen = size ? std::find(sizes.begin(), sizes.end(), *size) : sizes.begin();
    if (chosen == sizes.end()) {
        std::string all;
        for (const Size one : sizes) all += (all.empty() ? "" : ", ") + size_text(one);
        throw UsageError(label + ": input size " + size_text(*size) + ": expected a size of this bundle: " + all);
    }
    Manifest& m = every[static_cast<size_t>(chosen - sizes.begin())];
    m.sizes = std::move(sizes);
    return std::move(m);
}

}  // namespace pocketdet
