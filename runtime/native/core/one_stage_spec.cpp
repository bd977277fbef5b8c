#include "one_stage_spec.h"

#include <algorithm>
#include <cstdio>
#include <stdexcept>

namespace pocketdet {

namespace {

constexpr double kMany = 1e8;
constexpr double kLarge = 1e6;

[[noreturn]] void fail(const std::string& sentence) { throw std::invalid_argument(sentence); }

void within(const char* name, double value, double low, double high) {
    if (value >= low && value <= high) return;  // NaN is rejected
    char text[160];
    std::snprintf(text, sizeof text, "%s has the value %.9g: expected %.9g to %.9g", name, value, low, high);
    fail(text);
}

void counts(const char* name, size_t count, size_t high) {
    if (count >= 1 && count <= high) return;
    fail(std::string(name) + " has " + std::to_string(count) + " entries: expected 1 to " + std::to_string(high));
}

void check_field(const OutputField& field) {
    within("OutputField.first", field.first, 0, kMany);
    within("OutputField.anchor_channels", field.anchor_channels, 0, kMany);
    within("OutputField.first_row", field.first_row, 0, kMany);
    within("OutputField.anchor_step", field.anchor_step, 0, kMany);
    within("OutputField.element_step", field.element_step, 1, kMany);
    within("OutputField.cell_step", field.cell_step.value_or(1), 1, kMany);
    const bool has_rows = field.first_row != 0 || field.cell_step || field.anchor_step != 1;
    if (field.layout == FieldLayout::map && has_rows) {
        fail("OutputField of '" + field.output + "': a map has no first_row, cell_step and anchor_step");
    }
}

void check_level(const Level& level, const OneStageSpec& spec) {
    for (const int side : level.grid) within("Level.grid", side, 1, 4096.0 * 4096.0);
    for (const double stride : level.strides) within("Level.stride", stride, 1, 4096);
    counts("Level.anchors", level.anchors.size(), 64);
    within("Level.offset", level.offset, 0, 1);
    for (const std::array<double, 2>& size : level.anchors) {
        for (const double side : size) {
            if (side > 0 && side <= kLarge) continue;
            fail("an anchor has a side of " + std::to_string(side) + " pixels: expected above 0 and up to 1e+06");
        }
    }
    check_field(level.classes);
    for (const OutputField& field : level.boxes) check_field(field);
    if (level.objectness) check_field(*level.objectness);
    for (const std::optional<OutputField>& field : level.sizes) {
        if (field) check_field(*field);
    }
    if (level.boxes.size() != spec.codings.size()) {
        fail("a level has " + std::to_string(level.boxes.size()) + " box fields for " +
             std::to_string(spec.codings.size()) + " codings");
    }
    if (!level.sizes.empty() && level.sizes.size() != spec.codings.size()) {
        fail("a level has " + std::to_string(level.sizes.size()) + " size fields for " +
             std::to_string(spec.codings.size()) + " codings");
    }
    if (spec.uses_objectness() && !level.objectness) fail("objectness is used, but a level has no field for it");
}

void check_order(const char* name, const ElementOrder& elements) {
    std::array<int, 4> sorted = elements.order;
    std::sort(sorted.begin(), sorted.end());
    if (sorted != std::array<int, 4>{0, 1, 2, 3}) fail(std::string(name) + ".order: expected a permutation of 0 to 3");
    for (const double factor : elements.multiplier) within("multiplier", factor, -kLarge, kLarge);
}

struct CodingCheck {
    void operator()(const CxcywhCoding& coding) const {
        check_order("CxcywhCoding", coding.elements);
        within("CxcywhCoding.centre_gain", coding.centre_gain, -kLarge, kLarge);
        within("CxcywhCoding.centre_shift", coding.centre_shift, -kLarge, kLarge);
        within("CxcywhCoding.max_log", coding.max_log, 0, 80);
    }
    void operator()(const DistanceCoding& coding) const {
        check_order("DistanceCoding", coding.elements);
        within("DistanceCoding.bins", coding.bins, 1, 256);
        within("DistanceCoding.max_log", coding.max_log, 0, 80);
        if (coding.bins > 1 && coding.activation != DistanceActivation::none) {
            fail("DistanceCoding.activation: a distribution over bins has none");
        }
    }
    void operator()(const XyxyCoding& coding) const {
        check_order("XyxyCoding", coding.elements);
        if (coding.unit != Unit::input && coding.unit != Unit::pixel) {
            fail("XyxyCoding.unit: expected 'input' or 'pixel'");
        }
    }
};

void check_selection(const Selection& selection) {
    within("Selection.score_threshold", selection.score_threshold, 0, 1);
    within("Selection.nms_iou", selection.nms_iou, 0, 1);
    within("Selection.min_size", selection.min_size, 0, 4096);
    within("Selection.sigma", selection.sigma, 1e-6, kLarge);
    within("Selection.max_detections", selection.max_detections, 1, 10'000);
    within("Selection.objectness_threshold", selection.objectness_threshold.value_or(0), 0, 1);
    within("Selection.top_n_objectness", selection.top_n_objectness.value_or(1), 1, 1e6);
    within("Selection.top_n_per_level", selection.top_n_per_level.value_or(1), 1, 1e6);
    within("Selection.top_n", selection.top_n.value_or(1), 1, 1e6);
}

}  // namespace

int elements_of(const BoxCoding& coding) {
    const auto* distance = std::get_if<DistanceCoding>(&coding);
    return distance != nullptr ? 4 * distance->bins : 4;
}

int64_t OneStageSpec::count() const {
    int64_t total = 0;
    for (const Level& level : levels) total += level.count();
    return total;
}

void check_spec(const OneStageSpec& spec) {
    for (const int side : spec.input_size) within("OneStageSpec.input_size", side, 1, 4096);
    within("OneStageSpec.num_classes", spec.num_classes, 1, 10'000);
    counts("OneStageSpec.levels", spec.levels.size(), 16);
    counts("OneStageSpec.codings", spec.codings.size(), 4);
    for (const BoxCoding& coding : spec.codings) std::visit(CodingCheck{}, coding);
    within("Scores.class_power", spec.scores.class_power, 0, 8);
    within("Scores.objectness_power", spec.scores.objectness_power, 0, 8);
    check_selection(spec.selection);
    for (const Level& level : spec.levels) check_level(level, spec);
    constexpr int64_t kMost = int64_t{1} << 25;  // fields may share elements, so the outputs' sizes do not limit this
    int64_t values = spec.class_elements() + (spec.uses_objectness() ? spec.objectness_elements() : 0);
    for (const BoxCoding& coding : spec.codings) values += elements_of(coding);
    if (spec.count() > kMost || spec.count() * values > kMost) {
        fail(std::to_string(spec.count()) + " anchors with " + std::to_string(values) +
             " values each: expected at most 2^25 values in all");
    }
}

}  // namespace pocketdet
