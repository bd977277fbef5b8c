// Manifests of one-stage detectors, good and damaged. Runs on any target, with or without an emulator.
#include "errors.h"
#include "expect.h"
#include "json_fields.h"
#include "manifest.h"

namespace pocketdet {
namespace {

Json sound_manifest() {
    Json m = Json::parse(R"({
        "schema_version": 4, "name": "tiny", "task": "object-detection", "detector": "one-stage",
        "architecture": "by-hand", "input": {"height": 32, "width": 64}, "class_names": ["bolt", "nut"],
        "preprocessing": {"channel_order": "RGB", "mean": [123.675, 116.28, 103.53], "std": [58.395, 57.12, 57],
                          "resize": "letterbox", "pad": [124, 116, 104]},
        "graphs": {"model": {"param": "m.param", "bin": "m.bin", "arithmetic": "fp16",
                             "inputs": [{"blob": "in0", "role": "image", "shape": [3, 32, 64]}],
                             "outputs": [{"blob": "out0", "role": "map", "shape": [14, 4, 8]},
                                         {"blob": "out1", "role": "table", "shape": [10, 8]}]}},
        "decode": {
            "input_size": [32, 64], "num_classes": 2,
            "levels": [
                {"grid": [4, 8], "stride": 8, "anchors": [[12, 10.5], [20, 28]],
                 "classes": {"output": "map", "first": 5, "anchor_channels": 7},
                 "boxes": [{"output": "map", "anchor_channels": 7}],
                 "objectness": {"output": "map", "first": 4, "anchor_channels": 7}},
                {"grid": [2, 4], "stride": 16, "anchors": [[24, 24]], "offset": 0,
                 "classes": {"output": "table", "layout": "rows", "first": 5, "first_row": 2},
                 "boxes": [{"output": "table", "layout": "rows", "first_row": 2}], "objectness": null}],
            "codings": [{"encoding": "cxcywh", "order": [1, 0, 3, 2], "centre_unit": "stride"}]},
        "layout": {"weight_storage": "int8", "lanes": 1},
        "golden": {"image": "golden/image.png", "stages": "golden/stages.safetensors"},
        "tools": {"pocketdet": "test"}
    })");
    for (const char* name : {"m.param", "m.bin", "golden/image.png", "golden/stages.safetensors"}) {
        m["files"][name] = {{"size", 3}, {"sha256", std::string(64, 'a')}};
    }
    return m;
}

Manifest parse(const Json& manifest) { return parse_manifest(bytes_of(manifest.dump()), "m.json"); }

void test_manifest_is_read() {
    const Manifest m = parse(sound_manifest());
    const auto& parts = std::get<OneStageParts>(m.parts);
    CHECK(m.detector() == std::string("one-stage") && m.graphs().size() == 1 && m.arithmetic() == Arithmetic::fp16);
    CHECK(parts.model.has_int8 && parts.model.outputs[1].role == "table");
    const OneStageSpec& decode = parts.decode;
    CHECK(decode.levels[0].anchors[0][1] == 10.5 && decode.levels[0].objectness->first == 4);
    CHECK(decode.levels[1].classes.layout == FieldLayout::rows && !decode.levels[1].objectness);
    CHECK(decode.levels[0].offset == 0.5 && decode.levels[1].offset == 0.0 && decode.count() == 72);
    const auto& coding = std::get<CxcywhCoding>(decode.codings[0]);
    CHECK(coding.elements.order[0] == 1 && coding.centre_unit == Unit::stride && coding.size_unit == Unit::anchor);
    CHECK(coding.size_activation == SizeActivation::exp && coding.max_log == kMaxLogScale);
    CHECK(decode.scores.activation == Activation::sigmoid && decode.selection.max_detections == 100);
}

void test_every_field_is_read() {
    Json m = sound_manifest();
    Json& decode = m["decode"];
    decode["codings"].push_back({{"encoding", "distance"}, {"activation", "relu"}, {"unit", "input"}, {"max_log", 2}});
    decode["codings"].push_back({{"encoding", "xyxy"}, {"unit", "input"}, {"multiplier", {1, 2, 3, 4.5}}});
    for (Json& level : decode["levels"]) {
        for (int i = 0; i < 2; ++i) level["boxes"].push_back(level["boxes"][0]);
    }
    decode["scores"] = {{"activation", "none"},
                        {"background", "none"},
                        {"objectness_activation", "none"},
                        {"class_power", 0.4},
                        {"objectness_power", 0}};
    decode["selection"] = {{"score_threshold", 0.25},
                           {"best_class_only", true},
                           {"top_n", 7},
                           {"top_n_per_level", nullptr},
                           {"clip", false},
                           {"min_size", 3},
                           {"nms", "none"},
                           {"nms_iou", 0.4},
                           {"sigma", 0.3},
                           {"per_class", false},
                           {"max_detections", 9}};
    const Manifest read = parse(m);
    const OneStageSpec& spec = std::get<OneStageParts>(read.parts).decode;
    const auto& distance = std::get<DistanceCoding>(spec.codings[1]);
    CHECK(distance.activation == DistanceActivation::relu && distance.unit == Unit::input && distance.max_log == 2);
    CHECK(std::get<XyxyCoding>(spec.codings[2]).elements.multiplier[3] == 4.5);
    CHECK(spec.scores.class_power == 0.4 && spec.scores.objectness_activation == Activation::none);
    const Selection& s = spec.selection;
    CHECK(s.score_threshold == 0.25 && s.best_class_only && s.top_n == 7 && !s.top_n_per_level && !s.clip);
    CHECK(s.nms == Suppression::none && s.sigma == 0.3 && !s.per_class && s.max_detections == 9 && s.min_size == 3);
}

void test_fields_of_version_4() {
    Json m = sound_manifest();
    m["golden"]["score_threshold"] = 0.125;
    m["preprocessing"]["resize"] = "letterbox_top_left";
    Json& level = m["decode"]["levels"][1];
    level["stride"] = {15.75, 16};
    level["boxes"][0]["anchor_step"] = 0;
    level["boxes"][0]["cell_step"] = 1;
    level["sizes"] = {level["boxes"][0]};
    m["decode"]["levels"][0]["sizes"] = {nullptr};
    m["decode"]["codings"][0]["size_activation"] = "square";
    const Manifest read = parse(m);
    CHECK(read.golden_score_threshold == 0.125 && read.preprocessing.resize == ResizeRule::letterbox_top_left);
    const OneStageSpec& spec = std::get<OneStageParts>(read.parts).decode;
    CHECK(spec.levels[1].strides[0] == 15.75 && spec.levels[0].strides[1] == 8.0);
    CHECK(spec.levels[1].boxes[0].anchor_step == 0 && spec.levels[1].size_field(0)->cell_step == 1);
    CHECK(spec.levels[0].size_field(0) == nullptr && !parse(sound_manifest()).golden_score_threshold);
    CHECK(std::get<CxcywhCoding>(spec.codings[0]).size_activation == SizeActivation::square);
    level["sizes"][0]["first"] = 7;
    CHECK(contains(message_of<BundleError>([&] { parse(m); }), "output 'table' is (10, 8): its field needs (10, 9)"));
}

void test_earlier_words() {
    Json m = sound_manifest();
    m["schema_version"] = 3;
    Json& decode = m["decode"];
    for (Json& level : decode["levels"]) {
        level["priors"] = level["anchors"];
        level.erase("anchors");
    }
    for (const char* name : {"classes", "objectness"}) {
        decode["levels"][0][name]["prior_step"] = 7;
        decode["levels"][0][name].erase("anchor_channels");
    }
    decode["levels"][0]["boxes"][0] = {{"output", "map"}, {"prior_step", 7}};
    decode["codings"][0] = {{"form", "centre"}, {"origin", "prior"}, {"size_unit", "prior"}, {"centre_unit", "prior"}};
    const Manifest read = parse(m);
    const OneStageSpec& spec = std::get<OneStageParts>(read.parts).decode;
    CHECK(spec.levels[0].boxes[0].anchor_channels == 7 && spec.levels[1].anchors[0][1] == 24);
    const auto& coding = std::get<CxcywhCoding>(spec.codings[0]);
    CHECK(coding.origin == Origin::anchor && coding.centre_unit == Unit::anchor);
    decode["codings"][0] = {{"form", "corner"}};
    CHECK(std::holds_alternative<XyxyCoding>(std::get<OneStageParts>(parse(m).parts).decode.codings[0]));
    decode["levels"][0]["anchors"] = decode["levels"][0]["priors"];
    CHECK(contains(message_of<BundleError>([&] { parse(m); }), "field 'decode.levels[0].priors' is unknown"));
    decode["levels"][0].erase("anchors");
    m["schema_version"] = 4;
    CHECK(contains(message_of<BundleError>([&] { parse(m); }), "field 'decode.levels[0].anchors' is missing"));
}

void test_manifest_errors() {
    const struct {
        const char* pointer;
        Json value;  // discarded: remove the field
        const char* message;
    } cases[] = {
        {"/schema_version", 2, "field 'detector': expected 'two-stage'"},
        {"/detector", "three-stage", "field 'detector': expected 'two-stage' or 'one-stage'"},
        {"/anchors", 1, "field 'anchors' is unknown"},
        {"/graphs/head", 1, "field 'graphs.head' is unknown"},
        {"/graphs/model/inputs/0/role", "picture", "expected one input 'image' (3, 32, 64)"},
        {"/graphs/model/outputs/1/shape/0", 9, "output 'table' is (9, 8): its field needs (10, 7) (rows)"},
        {"/graphs/model/outputs/0/shape/2", 9, "output 'map' is (14, 4, 9): its field needs (14, 4, 8) (map)"},
        {"/graphs/model/outputs/1/shape/0", nullptr, "output 'table': expected one to three lengths"},
        {"/graphs/model/outputs/1/role", "map", "output 'map' is made twice"},
        {"/graphs/model/outputs/1/role", "chart", "output 'chart' is made twice, or no field"},
        {"/graphs/model/outputs/1", Json(Json::value_t::discarded), "has no output 'table'"},
        {"/decode", Json(Json::value_t::discarded), "field 'decode' is missing"},
        {"/decode/input_size", {32, 32}, "field 'decode.input_size': expected (32, 64), found (32, 32)"},
        {"/decode/num_classes", 1, "field 'decode.num_classes': expected 2"},
        {"/decode/num_classes", 2.0, "field 'decode.num_classes': expected a whole number"},
        {"/decode/levels", Json::array(), "field 'decode.levels'"},
        {"/decode/levels/0/grid", {4}, "field 'decode.levels[0].grid'"},
        {"/decode/levels/0/stride", 0, "field 'decode': Level.stride has the value 0: expected 1 to 4096"},
        {"/decode/levels/0/anchors/0/0", 0, "an anchor has a side of 0"},
        {"/decode/levels/0/offset", 2, "Level.offset has the value 2"},
        {"/decode/levels/0/boxes", Json::array(), "a level has 0 box fields for 1 codings"},
        {"/decode/levels/0/classes/layout", "cube", "expected 'map' or 'rows' or 'columns'"},
        {"/decode/levels/0/classes/layout", nullptr, "field 'decode.levels[0].classes.layout'"},
        {"/decode/levels/0/classes/first", -1, "OutputField.first has the value -1"},
        {"/decode/levels/0/classes/first_row", 1, "OutputField of 'map': a map has no first_row, cell_step"},
        {"/decode/levels/0/classes/cell_step", 1, "OutputField of 'map': a map has no first_row, cell_step"},
        {"/decode/levels/1/classes/cell_step", 0, "OutputField.cell_step has the value 0"},
        {"/decode/levels/1/classes/cell_step", 100'000'000, "its field needs (700000003, 7) (rows)"},
        {"/decode/levels/1/classes/anchor_step", -1, "OutputField.anchor_step has the value -1"},
        {"/decode/levels/1/classes/prior_step", 1, "field 'decode.levels[1].classes.prior_step' is unknown"},
        {"/decode/levels/0/stride", {8, 0.5}, "Level.stride has the value 0.5: expected 1 to 4096"},
        {"/decode/levels/0/stride", {8, 8, 8}, "field 'decode.levels[0].stride'"},
        {"/decode/levels/0/sizes", {nullptr, nullptr}, "a level has 2 size fields for 1 codings"},
        {"/decode/levels/0/surprise", 1, "field 'decode.levels[0].surprise' is unknown"},
        {"/decode/codings/0/encoding", Json(Json::value_t::discarded), "field 'decode.codings[0].encoding' is missing"},
        {"/decode/codings/0/encoding", "polar", "expected 'cxcywh' or 'distance' or 'xyxy'"},
        {"/decode/codings/0/bins", 4, "field 'decode.codings[0].bins' is unknown"},
        {"/decode/codings/0/order", {0, 1, 2, 2}, "CxcywhCoding.order: expected a permutation of 0 to 3"},
        {"/decode/codings/0/max_log", 81, "CxcywhCoding.max_log has the value 81"},
        {"/decode/codings/0/centre_gain", "1", "field 'decode.codings[0].centre_gain': expected a number"},
        {"/decode/scores", {{"objectness_power", 1}}, "objectness is used, but a level has no field for it"},
        {"/decode/scores", {{"activation", "relu"}}, "field 'decode.scores.activation'"},
        {"/decode/selection", {{"clip", 1}}, "field 'decode.selection.clip': expected true or false"},
        {"/decode/selection", {{"top_n", 0}}, "Selection.top_n has the value 0"},
        {"/decode/selection", {{"max_detections", nullptr}}, "field 'decode.selection.max_detections'"},
        {"/decode/selection", {{"speed", 1}}, "field 'decode.selection.speed' is unknown"},
    };
    for (const auto& one : cases) {
        Json m = sound_manifest();
        const Json::json_pointer pointer(one.pointer);
        if (!one.value.is_discarded()) {
            m[pointer] = one.value;
        } else if (m[pointer.parent_pointer()].is_array()) {
            m[pointer.parent_pointer()].erase(std::stoul(pointer.back()));
        } else {
            m[pointer.parent_pointer()].erase(pointer.back());
        }
        CHECK(contains(message_of<BundleError>([&] { parse(m); }), one.message));
    }
}

}  // namespace
}  // namespace pocketdet

int main() {
    pocketdet::test_manifest_is_read();
    pocketdet::test_every_field_is_read();
    pocketdet::test_fields_of_version_4();
    pocketdet::test_earlier_words();
    pocketdet::test_manifest_errors();
    std::puts("one_stage_bundle_test: all hold");
    return 0;
}
