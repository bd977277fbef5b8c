// The detector's readers on good and on damaged input: manifest, hashes, graphs, golden arrays, pictures, options.
// Runs on any target, with or without an emulator; needs no bundle.
#include <sys/stat.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <functional>
#include <limits>

#include "arguments.h"
#include "bundle.h"
#include "check.h"
#include "errors.h"
#include "golden.h"
#include "image_file.h"
#include "json_fields.h"
#include "param_check.h"
#include "sha256.h"
#include "stages.h"

namespace pocketdet {
namespace {

using Bytes = std::vector<uint8_t>;

Bytes bytes_of(const std::string& text) { return {text.begin(), text.end()}; }

// The message of the Expected that `action` throws; another exception, or none, ends the program.
template <typename Expected>
std::string message_of(const std::function<void()>& action) {
    try {
        action();
    } catch (const Expected& error) {
        const std::string message = error.what();
        CHECK(!message.empty() && message.size() < 1000 && message.find('\n') == std::string::npos);
        return message;
    }
    CHECK(!"an error was thrown");
    return "";
}

bool contains(const std::string& text, const std::string& part) {
    if (text.find(part) != std::string::npos) return true;
    std::fprintf(stderr, "'%s' is not in: %s\n", part.c_str(), text.c_str());
    return false;
}

Json sound_manifest() {
    Json m = Json::parse(R"({
        "schema_version": 1, "name": "tiny", "task": "object-detection", "detector": "two-stage",
        "architecture": "by-hand", "input": {"height": 32, "width": 64}, "class_names": ["bolt", "nut"],
        "preprocessing": {"channel_order": "RGB", "mean": [123.675, 116.28, 103.53], "std": [58.395, 57.12, 57],
                          "resize": "letterbox", "pad": [124, 116, 104]},
        "graphs": {
            "features": {"param": "f.param", "bin": "f.bin", "onnx": null,
                         "inputs": [{"blob": "in0", "role": "image", "shape": [3, 32, 64]}],
                         "outputs": [{"blob": "out0", "role": "rpn_scores", "shape": [2, 2, 4]},
                                     {"blob": "out1", "role": "rpn_deltas", "shape": [4, 2, 4]},
                                     {"blob": "out2", "role": "sam", "shape": [4, 2, 4]}]},
            "head": {"param": "h.param", "bin": "h.bin",
                     "inputs": [{"blob": "in0", "role": "roi_features", "shape": [null, 4]}],
                     "outputs": [{"blob": "out0", "role": "class_logits_and_deltas", "shape": [null, 7]}]}},
        "anchors": {"stride": 16, "sizes": [[16, 12.5]]},
        "proposals": {"pre_nms_top_n": 100, "post_nms_top_n": 20, "nms_iou": 0.7, "min_size": 1},
        "roi_head": {"alpha": 1, "pool_size": 2, "sampling_ratio": 2, "delta_std": [0.1, 0.1, 0.2, 0.2]},
        "postprocessing": {"score_threshold": 0.05, "nms": "gaussian", "nms_iou": 0.5, "sigma": 0.5,
                           "max_detections": 100},
        "layout": {"weight_storage": "fp32", "lanes": 8, "target": "neon-fp16"},
        "golden": {"image": "golden/image.png", "stages": "golden/stages.safetensors"},
        "tools": {"pocketdet": "test"}, "card": {}
    })");
    for (const char* name : {"f.param", "f.bin", "h.param", "h.bin", "golden/image.png", "golden/stages.safetensors"}) {
        m["files"][name] = {{"size", 3}, {"sha256", std::string(64, 'a')}};
    }
    return m;
}

Manifest parse(const Json& manifest) { return parse_manifest(bytes_of(manifest.dump()), "m.json"); }

void test_sha256() {
    CHECK(sha256_of("", 0) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    CHECK(sha256_of("abc", 3) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    const std::string two = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
    CHECK(sha256_of(two.data(), two.size()) == "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    Sha256 million;
    const std::string chunk(1009, 'a');  // across block boundaries
    for (size_t left = 1'000'000; left > 0; left -= std::min(left, chunk.size())) {
        million.update(chunk.data(), std::min(left, chunk.size()));
    }
    CHECK(million.finish() == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

void test_manifest_is_read() {
    const Manifest m = parse(sound_manifest());
    CHECK(m.name == "tiny" && m.input.height == 32 && m.input.width == 64 && m.head_columns() == 7);
    CHECK(m.preprocessing.resize == ResizeRule::letterbox && m.preprocessing.std[2] == 57.0f);
    CHECK(m.anchors.count() == 1 && m.anchors.sizes[1] == 12.5f && m.lanes == 8 && m.target == "neon-fp16");
    CHECK(m.postprocessing.rule.method == NmsMethod::gaussian && m.files.size() == 6);
    CHECK(m.head.input.shape[0] == kAnyCount && m.features.output("sam").blob == "out2");
}

void test_manifest_errors() {
    const struct {
        const char* pointer;
        Json value;  // discarded: remove the field
        const char* message;
    } cases[] = {
        {"/schema_version", 2, "needs a newer pocketdet-run"},
        {"/schema_version", "1", "field 'schema_version': expected a whole number"},
        {"/schema_version", 1.0, "field 'schema_version'"},
        {"/schema_version", true, "field 'schema_version'"},
        {"/name", "", "field 'name': expected a string of 1 to 200 characters"},
        {"/name", std::string(201, 'x'), "field 'name'"},
        {"/task", "poetry", "expected 'object-detection', found \"poetry\""},
        {"/input/height", 32.0, "field 'input.height'"},
        {"/input/height", 4097, "from 1 to 4096, found 4097"},
        {"/input/depth", 3, "field 'input.depth' is unknown"},
        {"/class_names", Json::array(), "field 'class_names'"},
        {"/class_names/1", nullptr, "field 'class_names[1]'"},
        {"/preprocessing/std/0", 0, "field 'preprocessing.std[0]'"},
        {"/preprocessing/mean", {1, 2}, "a list of 3 to 3 elements"},
        {"/preprocessing/pad/2", 256, "from 0 to 255"},
        {"/preprocessing/resize", Json(Json::value_t::discarded), "field 'preprocessing.resize' is missing"},
        {"/graphs/features/outputs/0/shape/0", 3, "blob 'rpn_scores' of graph 'features': expected shape (2, 2, 4)"},
        {"/graphs/features/outputs/2/role", "salmon", "blob 'sam' of graph 'features'"},
        {"/graphs/head/inputs/0/shape/0", 20, "expected shape (RoIs, 4)"},
        {"/graphs/head/param", "../../etc/passwd", "is used but not listed under files"},
        {"/graphs/head/onnx", "h.onnx", "'h.onnx' is used but not listed"},
        {"/anchors/stride", 0, "field 'anchors.stride'"},
        {"/anchors/sizes/0", {1, -1}, "field 'anchors.sizes[0][1]'"},
        {"/proposals/nms_iou", 1.5, "field 'proposals.nms_iou'"},
        {"/roi_head/delta_std/0", 1e300, "field 'roi_head.delta_std[0]'"},
        {"/postprocessing/nms", "soft", "expected 'hard' or 'linear' or 'gaussian'"},
        {"/layout/lanes", 2, "expected 1, 4, 8 or 16"},
        {"/tools/pocketdet", 7, "field 'tools.pocketdet'"},
        {"/files", {{"../x", {{"size", 1}, {"sha256", std::string(64, 'a')}}}}, "is not a plain path"},
        {"/files/f.bin/size", -1, "field 'files.f.bin.size'"},
        {"/files/f.bin/sha256", std::string(64, 'G'), "64 hex digits"},
        {"/files/f.bin/size", 1 << 30, "bytes in all"},
        {"/surprise", 1, "field 'surprise' is unknown"},
    };
    for (const auto& one : cases) {
        Json m = sound_manifest();
        const Json::json_pointer pointer(one.pointer);
        if (one.value.is_discarded()) {
            m[pointer.parent_pointer()].erase(pointer.back());
        } else {
            m[pointer] = one.value;
        }
        CHECK(contains(message_of<BundleError>([&] { parse(m); }), one.message));
    }
}

void test_broken_json() {
    const auto refuse = [](const std::string& text, const char* message) {
        CHECK(contains(message_of<BundleError>([&] { parse_manifest(bytes_of(text), "m.json"); }), message));
    };
    refuse("", "expected JSON");
    refuse("{\"schema_version\": 1", "expected JSON");
    refuse("[1]", "expected a JSON object");
    refuse("{\"a\": NaN}", "expected JSON");
    refuse("{\"a\": 1e999}", "expected JSON");
    refuse("{\"a\": \"\xff\"}", "expected JSON");
    refuse("{\"a\": 1, \"a\": 2}", "field \"a\" appears twice");
    refuse("{\"schema_version\": 1, \"input\": {\"height\": 1, \"height\": 2}}", "appears twice");
    refuse(std::string(100'000, '['), "nested too deeply");
    const std::string text = sound_manifest().dump();
    for (size_t size = 0; size < text.size(); size += 7) refuse(text.substr(0, size), "m.json: expected JSON");
}

void test_paths() {
    for (const char* path : {"a", "a/b.c/d-e/f_g", "A0.param", "0"}) CHECK(is_safe_path(path));
    for (const char* path : {"", "/a", "a/", "a//b", "..", "a/../b", ".a", "-a", "a b", "a\\b", "C:a", "a/b/c/d/e"}) {
        CHECK(!is_safe_path(path));
    }
    CHECK(is_safe_path(std::string(100, 'a')) && !is_safe_path(std::string(101, 'a')));
}

class TemporaryFolder {
public:
    TemporaryFolder() { CHECK(mkdtemp(path_) != nullptr); }
    ~TemporaryFolder() {
        for (const std::string& name : names_) unlink((path() + "/" + name).c_str());
        rmdir(path_);
    }
    std::string path() const { return path_; }
    void write(const std::string& name, const std::string& content) {
        std::FILE* file = std::fopen((path() + "/" + name).c_str(), "wb");
        CHECK(file != nullptr && std::fwrite(content.data(), 1, content.size(), file) == content.size());
        std::fclose(file);
        names_.push_back(name);
    }
    void link(const std::string& name, const std::string& target) {
        CHECK(symlink(target.c_str(), (path() + "/" + name).c_str()) == 0);
        names_.push_back(name);
    }

private:
    char path_[64] = "/tmp/pocketdet-test-XXXXXX";
    std::vector<std::string> names_;
};

void test_files() {
    TemporaryFolder folder;
    folder.write("good", "abc");
    folder.link("link", folder.path() + "/good");
    folder.link("loop", "loop");
    const Folder files(folder.path() + "/");
    const std::string hash = sha256_of("abc", 3);
    CHECK(files.read_listed("good", {3, hash}) == bytes_of("abc") && files.read("good", 3) == bytes_of("abc"));
    const auto refuse = [&](const char* name, const FileEntry& entry, const char* message) {
        CHECK(contains(message_of<BundleError>([&] { files.check_listed(name, entry); }), message));
    };
    refuse("good", {2, hash}, "expected 2 bytes, found more");
    refuse("good", {4, hash}, "expected 4 bytes, found 3");
    refuse("good", {3, sha256_of("abd", 3)}, "expected SHA-256 ");
    refuse("gone", {3, hash}, "the file is missing");
    refuse("link", {3, hash}, "found a symlink");
    refuse("loop", {3, hash}, "found a symlink");
    refuse("link/good", {3, hash}, "found a symlink");
    CHECK(contains(message_of<BundleError>([&] { files.read("good", 2); }), "at most 2 bytes"));
    CHECK(contains(message_of<BundleError>([&] { Folder(folder.path() + "/good"); }), "expected a bundle as a folder"));
    CHECK(contains(message_of<BundleError>([] { Folder("/nowhere/at/all"); }), "no such bundle"));
    CHECK(contains(message_of<BundleError>([&] { load_bundle(folder.path()); }), "manifest.json: the file is missing"));
    folder.write("manifest.json", sound_manifest().dump());
    CHECK(contains(message_of<BundleError>([&] { load_bundle(folder.path()); }), "f.param: the file is missing"));
    CHECK(contains(message_of<BundleError>([&] { load_bundle(folder.path(), hash); }), "expected the bundle"));
}

const std::string kGraph =
    "7767517\n3 4\nInput in 0 1 in0 0=4 1=4 2=3\nSplit s 1 2 in0 a out0\nReLU r 1 1 a b 0=0.1\n";

void check_graph(const std::string& text) {
    GraphSpec spec;
    spec.input = {"in0", "image", {3, 4, 4}};
    spec.outputs = {{"out0", "sam", {3, 4, 4}}};
    check_param(text, spec, "f.param", [](const std::string& type) { return type != "Unknown"; });
}

std::string replaced(const std::string& old_part, const std::string& new_part) {
    std::string text = kGraph;
    const size_t at = text.find(old_part);
    CHECK(at != std::string::npos);
    return text.replace(at, old_part.size(), new_part);
}

void test_graphs() {
    check_graph(kGraph);
    check_graph(replaced("0=0.1", "-23300=2,1,2 1=3,4 2=-1"));
    check_graph(replaced("3 4\n", "3 4\r\n"));
    const struct {
        const char *old_part, *new_part, *message;
    } cases[] = {
        {"7767517", "7767518", "expected the ncnn magic"},
        {"3 4\n", "4 4\n", "the header declares 4 layers and 4 blobs, the file has 3 and 4"},
        {"3 4\n", "3 5\n", "the header declares 3 layers and 5 blobs"},
        {"3 4\n", "99999999 4\n", "expected the counts"},
        {"3 4\n", "-1 4\n", "expected the counts"},
        {"ReLU", "Unknown", "line 5: Unknown 'r' the ncnn of this program has no layer type Unknown"},
        {"ReLU r 1 1 a b", "ReLU r 1 1 c b", "reads the blob 'c', which no earlier layer makes"},
        {"ReLU r 1 1 a b", "ReLU r 1 1 in0 b", "reads the blob 'in0', which is read already"},
        {"ReLU r 1 1 a b", "ReLU r 1 1 a in0", "makes the blob 'in0' a second time"},
        {"ReLU r 1 1 a b", "ReLU s 1 1 a b", "has the name of an earlier layer"},
        {"ReLU r 1 1 a b", "ReLU r 1 0 a", "has no output"},
        {"ReLU r 1 1 a b", "ReLU r 0 1 b", "a wrong number of inputs"},
        {"ReLU r 1 1 a b 0=0.1", "ReLU r 1 9 a b", "more blob names are declared"},
        {"ReLU r 1 1 a b", "ReLU r x 1 a b", "expected 'type name"},
        {"in0 0=4", "in1 0=4", "reads the blob 'in0'"},
        {"a out0", "a c", "has no blob 'out0'"},
        {"ReLU r 1 1 a b", "ReLU r 1 1 out0 b", "its output 'out0' is read"},
        {"0=0.1", "0:1", "cannot read a parameter"},
        {"0=0.1", "0=x", "'x' is not a number"},
        {"0=0.1", "0=", "'' is not a number"},
        {"0=0.1", "0=99999999999", "is not a number"},
        {"0=0.1", "0=1e39", "is not a number"},
        {"0=0.1", "0=1 0=2", "parameter 0 is given twice"},
        {"0=0.1", "32=1", "outside 0..31"},
        {"0=0.1", "-23300=3,1,2", "a wrong array length"},
        {"0=0.1", "-23300=2,1,2.0", "mixes ints and floats"},
        {"0=0.1", "0=1\x01", "a control character"},
        {"ReLU r", "ReLU \xff", "is not text"},
    };
    for (const auto& one : cases) {
        const std::string text = replaced(one.old_part, one.new_part);
        CHECK(contains(message_of<GraphError>([&] { check_graph(text); }), one.message));
    }
    CHECK(contains(message_of<GraphError>([] { check_graph(""); }), "found no header"));
    CHECK(contains(message_of<GraphError>([] { check_graph(std::string("7767517\n1 1\nInput x 0 1 in0 \0", 33)); }),
                   "a control character"));
}

void test_layers_of_this_ncnn() {
    for (const char* type : {"Convolution", "ConvolutionDepthWise", "Gemm", "InnerProduct", "Crop", "Interp", "Packing",
                             "Padding", "Cast", "Flatten", "HardSwish", "Mish", "Clip", "Sigmoid", "ReLU"}) {
        CHECK(ncnn_has_layer(type));
    }
    for (const char* type : {"LSTM", "Spectrogram", "NoSuchLayer", ""}) CHECK(!ncnn_has_layer(type));
}

Bytes safetensors(const std::string& header, size_t data_bytes) {
    Bytes file;
    for (size_t i = 0; i < 8; ++i) file.push_back(static_cast<uint8_t>(header.size() >> (8 * i)));
    for (const char c : header) file.push_back(static_cast<uint8_t>(c));
    file.resize(file.size() + data_bytes, 0x3f);
    return file;
}

void test_safetensors() {
    const std::string good = R"({"__metadata__": {"a": "b"}, "x": {"dtype": "F32", "shape": [2, 1], "data_offsets": [0, 8]}})";
    const auto arrays = parse_safetensors(safetensors(good, 8), "s");
    CHECK(arrays.size() == 1 && arrays.at("x").size() == 2 && arrays.at("x").values()[1] == arrays.at("x").floats()[1]);
    const auto refuse = [](const Bytes& file, const char* message) {
        CHECK(contains(message_of<BundleError>([&] { parse_safetensors(file, "s"); }), message));
    };
    refuse({1, 2, 3}, "found 3 bytes");
    refuse(Bytes(8, 0xff), "does not fit");
    refuse(safetensors(good, 7), "the place of this array in the file");
    refuse(safetensors(R"({"x": {"dtype": "F16", "shape": [2], "data_offsets": [0, 4]}})", 4), "'F32' or 'I32'");
    refuse(safetensors(R"({"x": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}})", 4), "field 'x.shape[0]'");
    refuse(safetensors(R"({"x": {"dtype": "F32", "shape": [99999999, 99999999], "data_offsets": [0, 4]}})", 4), "fits the file");
    refuse(safetensors(R"({"x": {"dtype": "F32", "shape": [1], "data_offsets": [4, 0]}})", 4), "the place of this array");
    refuse(safetensors("[]", 4), "an object");
    refuse(safetensors("{", 4), "expected JSON");
}

void test_pictures() {
    const Image image = decode_image(bytes_of("P6\n# a comment\n2 1\n255\nabcdef"), "p");
    CHECK(image.width == 2 && image.height == 1 && image.pixels == bytes_of("abcdef"));
    CHECK(image.view().row_stride == 6 && image.view().chroma == nullptr);
    const auto refuse = [](const std::string& data, const char* message) {
        CHECK(contains(message_of<ImageError>([&] { decode_image(bytes_of(data), "p"); }), message));
    };
    refuse("", "expected a PNG or a binary PPM");
    refuse("\xff\xd8\xff\xe0 a JPEG", "expected a PNG or a binary PPM");
    refuse("P6", "expected a PPM header");
    refuse("P6 2 1 65535\nabcdef", "expected a PPM header");
    refuse("P6 2 1 255\nabcde", "expected 6 bytes of pixels after the PPM header, found 5");
    refuse("P6 2 1 255\nabcdefg", "found 7");
    refuse("P6 0 1 255\n", "found 0 x 1");
    refuse("P6 99999 99999 255\n", "found 99999 x 99999");
    refuse("P6 9999999 1 255\n", "expected a PPM header");
    refuse("\x89PNG\r\n\x1a\n", "the PNG cannot be decoded");
    CHECK(contains(message_of<ImageError>([] { read_image("/nowhere.png"); }), "No such file"));
    CHECK(contains(message_of<ImageError>([] { read_image("/tmp"); }), "cannot be read"));
    TemporaryFolder folder;
    folder.write("raw", "123456");
    const std::string raw = folder.path() + "/raw";
    CHECK(read_raw(raw, PixelFormat::bgr, 2, 1).view().row_stride == 6);
    const Image camera = read_raw(raw, PixelFormat::nv21, 2, 2);
    CHECK(camera.view().chroma == camera.pixels.data() + 4);
    CHECK(contains(message_of<ImageError>([&] { read_raw(raw, PixelFormat::rgb, 3, 1); }), "expected 9 bytes"));
    CHECK(contains(message_of<ImageError>([&] { read_raw(raw, PixelFormat::nv21, 3, 2); }), "even sides"));
}

void test_comparisons() {
    const double nan = std::nan("");
    CHECK(compare("x", {2}, {1, -2}, {1, -2}, {}).ok && !compare("x", {2}, {1, -2}, {1, -2.5}, {}).ok);
    const Check check = compare("x", {2}, {1, -2}, {1, -2.5}, {0.25, 0});
    CHECK(check.ok && check.tolerance == 0.5 && check.max_abs == 0.5);
    CHECK_NEAR(*check.snr_db, 10 * std::log10(5 / 0.25), 1e-9);
    CHECK(compare("x", {1}, {nan}, {nan}, {}).ok && !compare("x", {1}, {nan}, {1}, {0, 100}).ok);
    CHECK(!compare("x", {2}, {1, 2}, {1}, {0, 100}).ok && compare("x", {0}, {}, {}, {}).ok);
    const Detection one{{0, 0, 10, 10}, 0.5f, 1, 0};
    const Detection near{{0, 0, 10, 10.05f}, 0.5f, 1, 0};
    const Detection other{{0, 0, 10, 10}, 0.5f, 2, 0};
    const Tolerances tolerances = tolerances_for(Precision::fp32);
    CHECK(compare_detections("d", {one, other}, {other, near}, tolerances).ok);
    CHECK(!compare_detections("d", {one}, {one, one}, tolerances).ok);
    CHECK(!compare_detections("d", {one}, {other}, tolerances).ok);
    CHECK(compare_detections("d", {}, {}, tolerances).ok);
}

void test_arguments() {
    const auto arguments = [](const std::vector<std::string>& words) {
        return Arguments("detect", words, with_detector_options({{"raw", "SIZE", "x"}}));
    };
    const Arguments good = arguments({"b", "--rois", "7", "--score-threshold=0.5", "i", "--nms=linear", "--precision", "fp16"});
    const DetectorOptions options = detector_options(good);
    CHECK(good.positional() == (std::vector<std::string>{"b", "i"}) && *options.rois == 7);
    CHECK(*options.score_threshold == 0.5 && *options.nms == NmsMethod::linear && options.precision == Precision::fp16);
    const auto refuse = [&](const std::vector<std::string>& words, const char* message) {
        CHECK(contains(message_of<UsageError>([&] { detector_options(arguments(words)); }), message));
    };
    refuse({"--what"}, "--what is not one of its options");
    refuse({"--rois"}, "--rois needs a value");
    refuse({"--rois", "1", "--rois=2"}, "given twice");
    refuse({"--rois", "0"}, "from 1 to 10000");
    refuse({"--rois", "1.5"}, "a whole number");
    refuse({"--rois="}, "a whole number");
    refuse({"--score-threshold", "nan"}, "a number from 0 to 1");
    refuse({"--precision", "fp8"}, "expected one of fp32, fp16");
    refuse({"--threads", "x"}, "a whole number");
}

}  // namespace
}  // namespace pocketdet

int main() {
    pocketdet::test_sha256();
    pocketdet::test_manifest_is_read();
    pocketdet::test_manifest_errors();
    pocketdet::test_broken_json();
    pocketdet::test_paths();
    pocketdet::test_files();
    pocketdet::test_graphs();
    pocketdet::test_layers_of_this_ncnn();
    pocketdet::test_safetensors();
    pocketdet::test_pictures();
    pocketdet::test_comparisons();
    pocketdet::test_arguments();
    std::puts("detector_test: all hold");
    return 0;
}
