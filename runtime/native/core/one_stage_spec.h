// Description of the outputs of a one-stage detector. Definition: docs/reference/one-stage.md. Fields, defaults and
// ranges equal those of the Python OneStageSpec.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "boxes.h"
#include "nms.h"

namespace pocketdet {

enum class FieldLayout { map, rows, columns };
enum class Activation { none, sigmoid, softmax };
enum class Background { none, first, last };
enum class CentreActivation { none, tanh, sigmoid };
enum class SizeActivation { none, exp, sigmoid, sigmoid_squared, square };
enum class DistanceActivation { none, exp, relu };
enum class Unit { anchor, stride, input, pixel };
enum class Origin { anchor, image };
enum class Suppression { hard, linear, gaussian, none };

constexpr double kMaxLogScale = 4.135166556742356;  // log(1000 / 16)

// The position of one kind of values in an output. Element `k` of anchor `a` of cell `c` is in channel
// first + a * anchor_channels + k * element_step and, in rows and columns, in row
// first_row + c * cell_step + a * anchor_step.
struct OutputField {
    std::string output;
    FieldLayout layout = FieldLayout::map;  // (channels, h, w), (rows, channels) or (channels, rows)
    int first = 0, anchor_channels = 0, element_step = 1, first_row = 0;
    std::optional<int> cell_step = std::nullopt;  // by default A * anchor_step, at least 1, with A anchors per cell
    int anchor_step = 1;
};

// A grid of cells of one feature map.
struct Level {
    std::array<int, 2> grid{};                   // height, width in cells
    std::array<double, 2> strides{};             // pixels per cell along x, y
    std::vector<std::array<double, 2>> anchors;  // width, height in pixels
    OutputField classes;
    std::vector<OutputField> boxes;  // one per coding
    std::optional<OutputField> objectness;
    double offset = 0.5;  // of the cell centre: ((x + offset) * stride_x, (y + offset) * stride_y)
    // One per coding: the second half of its elements, where `boxes` has the first half only. Empty: none.
    std::vector<std::optional<OutputField>> sizes;

    int64_t cells() const { return int64_t{grid[0]} * grid[1]; }
    int64_t count() const { return cells() * static_cast<int64_t>(anchors.size()); }
    int64_t cell_step(const OutputField& field) const {
        const int64_t of_anchors = static_cast<int64_t>(anchors.size()) * field.anchor_step;
        return field.cell_step.value_or(0) > 0 ? *field.cell_step : std::max(int64_t{1}, of_anchors);
    }
    const OutputField* size_field(size_t coding) const {
        return !sizes.empty() && sizes[coding] ? &*sizes[coding] : nullptr;
    }
};

// A coding reads elements order[0] to order[3], multiplied by `multiplier`.
struct ElementOrder {
    std::array<int, 4> order{0, 1, 2, 3};
    std::array<double, 4> multiplier{1.0, 1.0, 1.0, 1.0};
};

// Centre, width and height relative to the anchor.
struct CxcywhCoding {
    ElementOrder elements;
    Origin origin = Origin::anchor;
    CentreActivation centre_activation = CentreActivation::none;
    double centre_gain = 1.0, centre_shift = 0.0;
    Unit centre_unit = Unit::anchor;
    SizeActivation size_activation = SizeActivation::exp;
    Unit size_unit = Unit::anchor;
    double max_log = kMaxLogScale;
};

// Distances from the anchor's centre to the left, top, right and bottom side. bins > 1: each distance is the mean of a
// softmax over 0 to bins - 1 (generalised focal loss).
struct DistanceCoding {
    ElementOrder elements;
    DistanceActivation activation = DistanceActivation::none;
    Unit unit = Unit::stride;
    int bins = 1;
    double max_log = kMaxLogScale;
};

// Corner coordinates.
struct XyxyCoding {
    ElementOrder elements;
    Unit unit = Unit::pixel;
};

using BoxCoding = std::variant<CxcywhCoding, DistanceCoding, XyxyCoding>;

// The number of raw elements that a coding reads per anchor.
int elements_of(const BoxCoding& coding);

// Score = class value ^ class_power * objectness ^ objectness_power.
struct Scores {
    Activation activation = Activation::sigmoid;
    Background background = Background::none;
    Activation objectness_activation = Activation::sigmoid;
    double class_power = 1.0, objectness_power = 0.0;
};

// Thresholds, limits and NMS. An empty optional means no limit.
struct Selection {
    double score_threshold = 0.05;
    bool best_class_only = false;
    std::optional<double> objectness_threshold;
    std::optional<int> top_n_objectness, top_n_per_level, top_n;
    bool clip = true;
    double min_size = 0.0;
    Suppression nms = Suppression::hard;
    double nms_iou = 0.5, sigma = 0.5;
    bool per_class = true;
    int max_detections = 100;
};

struct OneStageSpec {
    std::array<int, 2> input_size{};  // height, width
    int num_classes = 0;
    std::vector<Level> levels;
    std::vector<BoxCoding> codings;
    Scores scores;
    Selection selection;

    Size input() const { return {input_size[0], input_size[1]}; }
    int64_t count() const;  // number of anchors of all levels
    bool limits_objectness() const { return selection.objectness_threshold || selection.top_n_objectness; }
    bool uses_objectness() const { return limits_objectness() || scores.objectness_power > 0; }
    int class_elements() const { return num_classes + (scores.background == Background::none ? 0 : 1); }
    int objectness_elements() const { return scores.objectness_activation == Activation::softmax ? 2 : 1; }
};

// Validates ranges and consistency. Throws std::invalid_argument with one sentence about the first error.
void check_spec(const OneStageSpec& spec);

}  // namespace pocketdet
