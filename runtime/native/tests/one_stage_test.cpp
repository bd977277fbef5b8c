// The decode of one-stage outputs on values worked out by hand; runs on any target, with or without an emulator.
#include <limits>
#include <stdexcept>

#include "check.h"
#include "one_stage.h"
#include "one_stage_boxes.h"

namespace pocketdet {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

bool same(const Box& a, const Box& b) { return a.x1 == b.x1 && a.y1 == b.y1 && a.x2 == b.x2 && a.y2 == b.y2; }

OutputField output_field(const char* output) {
    OutputField field;
    field.output = output;
    return field;
}

// A row of four cells of 16 pixels, one anchor each, two classes that are probabilities already, boxes of distances.
OneStageSpec four_cells() {
    OneStageSpec spec;
    spec.input_size = {16, 64};
    spec.num_classes = 2;
    Level level;
    level.grid = {1, 4};
    level.strides = {16, 16};
    level.anchors = {{16.0, 16.0}};
    level.classes = output_field("classes");
    level.boxes = {output_field("boxes")};
    spec.levels = {level};
    spec.codings = {DistanceCoding{}};
    spec.scores.activation = Activation::none;
    spec.selection.score_threshold = 0.1;
    return spec;
}

// (2, 1, 4): class by class
constexpr float kScores[8] = {0.9f, 0.8f, 0.1f, kNan, 0.2f, 0.8f, 0.05f, 0.7f};
// (4, 1, 4): left, top, right, bottom in strides; the second box covers the first cell, too
constexpr float kSides[16] = {0.5f, 1.5f, 0.5f, 0.5f, 0.5f, 0.5f, 0.5f, 0.5f,
                              0.5f, 0.5f, 0.5f, 0.5f, 0.5f, 0.5f, 0.5f, 0.5f};

std::vector<Detection> decode(const OneStageSpec& spec, const float* classes = kScores, const float* boxes = kSides) {
    OneStageWorkspace workspace;
    std::vector<Detection> found;
    const OneStageDecoder decoder(spec);
    CHECK(decoder.outputs().size() == 2 && decoder.outputs()[0] == "classes" && decoder.outputs()[1] == "boxes");
    decoder.decode({{classes, 4}, {boxes, 4}}, workspace, found);
    return found;
}

void test_steps() {
    OneStageSpec spec = four_cells();
    std::vector<Detection> found = decode(spec);
    // the fourth anchor has a NaN; the third is not above the threshold; first and second overlap by half a box
    CHECK(found.size() == 4);
    CHECK(found[0].label == 0 && found[0].index == 0 && found[0].score == 0.9f && same(found[0].box, {0, 0, 16, 16}));
    CHECK(found[1].label == 0 && found[1].index == 1 && found[1].score == 0.8f && same(found[1].box, {0, 0, 32, 16}));
    CHECK(found[2].label == 1 && found[2].index == 1 && found[3].label == 1 && found[3].index == 0);
    spec.selection.nms_iou = 0.4;
    found = decode(spec);
    CHECK(found.size() == 2 && found[0].index == 0 && found[1].label == 1 && found[1].index == 1);
    spec.selection.per_class = false;
    CHECK(decode(spec).size() == 1);
    spec.selection.nms = Suppression::none;
    CHECK(decode(spec).size() == 4);
    spec.selection.best_class_only = true;
    found = decode(spec);
    CHECK(found.size() == 2 && found[1].index == 1 && found[1].label == 0);
    spec.selection.max_detections = 1;
    CHECK(decode(spec).size() == 1);
    spec.selection.min_size = 17.0;
    CHECK(decode(spec).empty());
}

void test_soft() {
    OneStageSpec spec = four_cells();
    spec.selection.nms = Suppression::linear;
    spec.selection.nms_iou = 0.4;
    std::vector<Detection> found = decode(spec);
    CHECK(found.size() == 3 && found[0].score == 0.9f && found[1].label == 1 && found[1].score == 0.8f);
    CHECK(found[2].label == 0 && found[2].index == 1 && found[2].score == 0.8f * 0.5f);  // 0.2 * 0.5 is no more
    spec.selection.nms = Suppression::gaussian;
    found = decode(spec);
    CHECK_NEAR(found[2].score, 0.8f * std::exp(-0.25f / 0.5f), 1e-6f);
}

void test_limits() {
    OneStageSpec spec = four_cells();
    spec.selection.top_n = 3;
    CHECK(decode(spec).size() == 3);
    spec.selection.top_n.reset();
    spec.selection.top_n_per_level = 2;
    CHECK(decode(spec).size() == 2);
}

void test_scores() {
    OneStageSpec spec = four_cells();
    spec.scores.activation = Activation::softmax;
    spec.scores.background = Background::last;
    spec.num_classes = 1;
    const float logits[8] = {2, 0, -9, kNan, 1, 0, 0, 0};
    std::vector<Detection> found = decode(spec, logits);
    CHECK(found.size() == 2);
    CHECK_NEAR(found[0].score, 1.0f / (1.0f + std::exp(-1.0f)), 1e-6f);
    CHECK(found[1].score == 0.5f && found[1].index == 1);
    CHECK(sigmoid_float64(0.0f) == 0.5f && sigmoid_float64(-1000.0f) == 0.0f && sigmoid_float64(1000.0f) == 1.0f);
    CHECK(tanh_float64(0.0f) == 0.0f && tanh_float64(-1000.0f) == -1.0f && tanh_float64(1000.0f) == 1.0f);
}

void test_codings() {
    const Box reference{10, 20, 30, 60};
    const float raw[4] = {0.5f, -0.25f, 0.0f, 0.0f};
    CHECK(same(decode_step(CxcywhCoding{}, raw, 1, reference, {8, 8}, {64, 64}), {20, 10, 40, 50}));
    CxcywhCoding strides;
    strides.origin = Origin::image;
    strides.centre_unit = strides.size_unit = Unit::stride;
    CHECK(same(decode_step(strides, raw, 1, reference, {8, 8}, {64, 64}), {0, -6, 8, 2}));
    CHECK(same(decode_step(XyxyCoding{{}, Unit::input}, raw, 1, reference, {8, 8}, {40, 64}), {32, -10, 0, 0}));
    DistanceCoding relu;
    relu.activation = DistanceActivation::relu;
    CHECK(same(decode_step(relu, raw, 1, reference, {8, 8}, {64, 64}), {16, 40, 20, 40}));
    CHECK(same(decode_step(strides, raw, 1, reference, {8, 12.5}, {64, 64}), {0, -9.375, 8, 3.125}));
    CxcywhCoding square;
    square.size_activation = SizeActivation::square;
    square.elements.multiplier = {1, 1, 2, 2};
    const float halves[4] = {0, 0, 0.5f, 0.25f};
    CHECK(same(decode_step(square, halves, 1, reference, {8, 8}, {64, 64}), {10, 35, 30, 45}));
    DistanceCoding bins;
    bins.bins = 2;
    const float even[8] = {};
    CHECK(same(decode_step(bins, even, 1, reference, {8, 8}, {64, 64}), {16, 36, 24, 44}));
}

void test_readers() {
    float table[12];
    for (int i = 0; i < 12; ++i) table[i] = static_cast<float>(i);
    const OutputView view{table, 6};
    Level one, two;
    one.grid = two.grid = {1, 4};
    one.anchors = {{8.0, 8.0}};
    two.anchors = {{8.0, 8.0}, {8.0, 8.0}};
    const OutputField rows{"t", FieldLayout::rows, 1, 0, 2, 1};
    const FieldReader by_rows = reader_of(rows, one, view);
    CHECK(*by_rows.at(0, 0) == 7 && by_rows.at(0, 0)[by_rows.element] == 9);
    const OutputField columns{"t", FieldLayout::columns, 0, 0, 1, 2};
    const FieldReader by_columns = reader_of(columns, two, view);
    CHECK(*by_columns.at(1, 1) == 5 && by_columns.at(0, 1)[by_columns.element] == 9);
    const OutputField map{"t", FieldLayout::map, 0, 1, 1, 0};
    CHECK(*reader_of(map, two, view).at(3, 1) == 9);
    // anchors outermost, and the anchors of a cell in the channels of its row
    const OutputField outermost{"t", FieldLayout::columns, 0, 0, 1, 0, 1, 3};
    CHECK(*reader_of(outermost, two, view).at(2, 1) == 5);
    const OutputField in_channels{"t", FieldLayout::rows, 0, 2, 1, 0, std::nullopt, 0};
    CHECK(*reader_of(in_channels, two, view).at(1, 1) == 8);
}

void test_refusals() {
    const OneStageSpec spec = four_cells();
    CHECK(shape_error(spec, {{"classes", {2, 1, 4}}, {"boxes", {5, 1, 4}}}).empty());
    CHECK(shape_error(spec, {{"classes", {2, 1, 4}}}) == "no output 'boxes': expected one of shape (4, 1, 4)");
    CHECK(shape_error(spec, {{"classes", {2, 2, 2}}, {"boxes", {4, 1, 4}}}) ==
          "output 'classes' is (2, 2, 2): its field needs (2, 1, 4) (map)");
    OneStageSpec wrong = spec;
    wrong.levels[0].grid = {1 << 24, 1 << 24};
    bool refused = false;
    try {
        const OneStageDecoder decoder(wrong);
    } catch (const std::invalid_argument& error) {
        refused = std::string(error.what()).find("expected at most 2^25 values in all") != std::string::npos;
    }
    CHECK(refused);
}

}  // namespace
}  // namespace pocketdet

int main() {
    pocketdet::test_steps();
    pocketdet::test_soft();
    pocketdet::test_limits();
    pocketdet::test_scores();
    pocketdet::test_codings();
    pocketdet::test_readers();
    pocketdet::test_refusals();
    std::puts("one_stage_test: 7 tests passed");
    return 0;
}
