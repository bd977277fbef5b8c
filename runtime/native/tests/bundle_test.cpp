// Manifests, hashes and files of bundles, good and damaged. Runs on any target, with or without an emulator.
#include "bundle.h"
#include "errors.h"
#include "expect.h"
#include "json_fields.h"
#include "sha256.h"

namespace pocketdet {
namespace {

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

struct Edit {
    const char* pointer;
    Json value;  // discarded: remove the field
    const char* message;
};

// Whether a sound manifest is refused with the message of an edit after it.
void check_refused(Json manifest, const Edit& edit) {
    const Json::json_pointer pointer(edit.pointer);
    if (edit.value.is_discarded()) {
        manifest[pointer.parent_pointer()].erase(pointer.back());
    } else {
        manifest[pointer] = edit.value;
    }
    CHECK(contains(message_of<BundleError>([&] { parse(manifest); }), edit.message));
}

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
    const auto& parts = std::get<TwoStageParts>(m.parts);
    CHECK(m.name == "tiny" && m.input.height == 32 && m.input.width == 64 && parts.head_columns == 7);
    CHECK(m.preprocessing.resize == ResizeRule::letterbox && m.preprocessing.std[2] == 57.0f);
    CHECK(parts.anchors.count() == 1 && parts.anchors.sizes[1] == 12.5f && m.lanes == 8 && m.target == "neon-fp16");
    CHECK(parts.postprocessing.rule.method == NmsMethod::gaussian && m.files.size() == 6);
    CHECK(parts.head.input.shape[0] == kAnyCount && parts.features.output("sam").blob == "out2");
    CHECK(m.arithmetic() == Arithmetic::fp32 && m.detector() == std::string("two-stage") && m.graphs().size() == 2);
    Json noted = sound_manifest();
    noted["card"][std::string("a\0b", 3)] = "a name with a zero in it";
    parse(noted);
}

void test_what_a_bundle_was_made_for() {
    Json second = sound_manifest();
    second["schema_version"] = 2;
    CHECK(parse(second).arithmetic() == Arithmetic::fp32);
    second["graphs"]["head"]["arithmetic"] = "fp16";
    second["layout"]["fp32_modules"] = {"backbone.stem", "head.fc"};
    const Manifest m = parse(second);
    CHECK(m.graphs()[0]->arithmetic == Arithmetic::fp32 && m.graphs()[1]->arithmetic == Arithmetic::fp16);
    CHECK(m.arithmetic() == Arithmetic::fp16);
    second["schema_version"] = 3;
    CHECK(parse(second).arithmetic() == Arithmetic::fp16);
    const struct {
        const char* pointer;
        Json value;
        const char* message;
    } cases[] = {
        {"/graphs/head/arithmetic", "fp8", "field 'graphs.head.arithmetic': expected 'fp32'"},
        {"/graphs/head/arithmetic", 16, "field 'graphs.head.arithmetic'"},
        {"/graphs/head/arithmetic", nullptr, "field 'graphs.head.arithmetic'"},
        {"/layout/fp32_modules", nullptr, "field 'layout.fp32_modules'"},
        {"/layout/fp32_modules", "head.fc", "field 'layout.fp32_modules'"},
        {"/layout/fp32_modules/0", "", "field 'layout.fp32_modules[0]'"},
        {"/schema_version", 1, "' is unknown"},
    };
    for (const auto& one : cases) {
        Json wrong = second;
        wrong[Json::json_pointer(one.pointer)] = one.value;
        CHECK(contains(message_of<BundleError>([&] { parse(wrong); }), one.message));
    }
    for (const char* name : kArithmetics) CHECK(name_of(arithmetic_of(name)) == std::string(name));
    CHECK(arithmetic_in_use(Arithmetic::fp32) == Arithmetic::fp32);
    CHECK(why_other(Arithmetic::fp16, Arithmetic::fp16).empty());
    CHECK(contains(why_other(Arithmetic::bf16_storage, Arithmetic::fp32), "bf16-storage needs ncnn on a 64-bit ARM"));
}

void test_suppression_across_classes() {
    Json newer = sound_manifest();
    newer["schema_version"] = 6;
    CHECK(std::get<TwoStageParts>(parse(newer).parts).postprocessing.per_class);
    newer["postprocessing"]["per_class"] = false;
    CHECK(!std::get<TwoStageParts>(parse(newer).parts).postprocessing.per_class);
    for (const Json& wrong : {Json(nullptr), Json(0), Json("false")}) {
        Json other = newer;
        other["postprocessing"]["per_class"] = wrong;
        CHECK(contains(message_of<BundleError>([&] { parse(other); }), "field 'postprocessing.per_class'"));
    }
    newer["schema_version"] = 5;
    CHECK(contains(message_of<BundleError>([&] { parse(newer); }), "field 'postprocessing.per_class' is unknown"));
}

void test_manifest_errors() {
    const Edit edits[] = {
        {"/schema_version", 7, "needs a newer pocketdet-run"},
        {"/schema_version", "1", "field 'schema_version': expected a whole number"},
        {"/schema_version", 1.0, "field 'schema_version'"},
        {"/schema_version", true, "field 'schema_version'"},
        {"/detector", "one-stage", "field 'detector': expected 'two-stage', found"},
        {"/name", "", "field 'name': expected a string of 1 to 200 characters"},
        {"/name", std::string(201, 'x'), "field 'name'"},
        {"/name", "a\x1b[2Jb", "field 'name': expected no control characters and others that cannot be shown, found"},
        {"/class_names/0", "bolt\xe2\x80\xae", "field 'class_names[0]': expected no control characters"},
        {"/graphs/head/layer_sources", {{"out0", "a\xc2\x85"}}, "field 'graphs.head.layer_sources.out0'"},
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
        {"/files/F.BIN", {{"size", 1}, {"sha256", std::string(64, 'a')}}, "differ in upper case alone"},
        {"/files/Manifest.json", {{"size", 1}, {"sha256", std::string(64, 'a')}}, "differ in upper case alone"},
        {"/files/golden", {{"size", 1}, {"sha256", std::string(64, 'a')}}, "is listed as a file and as a folder"},
        {"/card", nullptr, "field 'card'"},
        {"/card", {{"a\nb", 1}}, "field 'card.a?b'"},
        {"/graphs/head/layer_sources", nullptr, "field 'graphs.head.layer_sources'"},
        {"/files/f.bin/size", -1, "field 'files.f.bin.size'"},
        {"/files/f.bin/sha256", std::string(64, 'G'), "64 hex digits"},
        {"/files/f.bin/size", 1 << 30, "bytes in all"},
        {"/surprise", 1, "field 'surprise' is unknown"},
    };
    for (const Edit& edit : edits) check_refused(sound_manifest(), edit);
}

// The manifest at 32x64, and at 64x64 with a features graph of its own.
Json manifest_of_two_sizes() {
    Json m = sound_manifest();
    m["schema_version"] = 5;
    m["files"]["g.param"] = m["files"]["f.param"];
    Json size;
    for (const char* name : {"input", "graphs", "layout", "golden"}) size[name] = m[name];
    size["input"]["height"] = 64;
    Json& features = size["graphs"]["features"];
    features["param"] = "g.param";
    features["inputs"][0]["shape"] = {3, 64, 64};
    for (Json& output : features["outputs"]) output["shape"][1] = 4;
    m["sizes"] = {size};
    return m;
}

void test_several_sizes() {
    const auto at = [](const Json& m, std::optional<Size> size) {
        return parse_manifest(bytes_of(m.dump()), "m.json", size);
    };
    const Json sound = manifest_of_two_sizes();
    const Manifest first = at(sound, {});
    CHECK(size_text(first.input) == "32x64" && first.graphs()[0]->param == "f.param" && first.sizes.size() == 2);
    const Manifest second = at(sound, Size{64, 64});
    CHECK(size_text(second.input) == "64x64" && second.graphs()[0]->param == "g.param");
    CHECK(second.graphs()[0]->bin == "f.bin" && second.sizes[0] == first.input);
    CHECK(contains(message_of<UsageError>([&] { at(sound, Size{64, 32}); }),
                   "m.json: input size 64x32: expected a size of this bundle: 32x64, 64x64"));
    Json none = sound_manifest();
    none["schema_version"] = 5;
    CHECK(parse(none).sizes.size() == 1);
    none["sizes"] = Json::array();
    CHECK(parse(none).sizes.size() == 1);
    const Edit edits[] = {
        {"/schema_version", 4, "field 'sizes' is unknown"},
        {"/sizes", nullptr, "field 'sizes': expected a list of 0 to 7 elements"},
        {"/sizes", Json::array_t(8, sound["sizes"][0]), "field 'sizes': expected a list of 0 to 7 elements"},
        {"/sizes/0", 320, "field 'sizes[0]': expected an object"},
        {"/sizes/1", sound["sizes"][0], "m.json: sizes[1]: input size 64x64 is given twice"},
        {"/sizes/0/golden", Json(Json::value_t::discarded), "field 'sizes[0].golden' is missing"},
        {"/sizes/0/decode", 1, "field 'sizes[0].decode' is unknown"},
        {"/sizes/0/sizes", Json::array(), "field 'sizes[0].sizes' is unknown"},
        {"/sizes/0/input/height", 4097, "m.json: sizes[0]: field 'input.height': "},
        {"/sizes/0/input/height", 32, "m.json: sizes[0]: blob 'image' of graph 'features'"},
        {"/sizes/0/golden/image", "g.png", "m.json: sizes[0]: 'g.png' is used but not listed"},
        {"/sizes/0/graphs/head/bin", "g.bin", "m.json: sizes[0]: 'g.bin' is used but not listed"},
    };
    for (const Edit& edit : edits) check_refused(sound, edit);
}

void test_size_texts() {
    CHECK(parse_size("320") == (Size{320, 320}) && parse_size("320x416") == (Size{320, 416}));
    for (const char* text : {"", "x", "320x", "x320", "320x320x320", " 320", "320 ", "+320", "0x1p3", "123456", "a"}) {
        CHECK(contains(message_of<UsageError>([&] { parse_size(text); }), "expected one side or HEIGHTxWIDTH"));
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
    refuse(sound_manifest().dump() + std::string("\0{", 2), "a zero byte");
    refuse("\xef\xbb\xbf" + sound_manifest().dump(), "a byte order mark");
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

}  // namespace
}  // namespace pocketdet

int main() {
    pocketdet::test_sha256();
    pocketdet::test_manifest_is_read();
    pocketdet::test_what_a_bundle_was_made_for();
    pocketdet::test_suppression_across_classes();
    pocketdet::test_manifest_errors();
    pocketdet::test_several_sizes();
    pocketdet::test_size_texts();
    pocketdet::test_broken_json();
    pocketdet::test_paths();
    pocketdet::test_files();
    std::puts("bundle_test: all hold");
    return 0;
}
