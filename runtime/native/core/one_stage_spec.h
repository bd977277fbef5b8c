// A one-stage detector's outputs, described by data: docs/reference/one-stage.md. Names, defaults, ranges: those of
// pocketdet/one_stage_spec.py.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "boxes.h"
#include "nms.h"

namespace pocketdet {

enum class SlotLayout { map, rows, columns };
enum class Activation { none, sigmoid, softmax };
enum class Background { none, first, last };
enum class CentreActivation { none, tanh, sigmoid };
enum class SizeActivation { none, exp, sigmoid, sigmoid_squared };
enum class DistanceActivation { none, exp, relu };
enum class Unit { prior, stride, input, pixel };
enum class Origin { prior, image };
enum class Suppression { hard, linear, gaussian, none };

constexpr double kMaxLogScale = 4.135166556742356;  // log(1000 / 16)

// Element `k` of prior `a` is in channel first + a * prior_step + k * element_step.
struct Slot {
    std::string output;
    SlotLayout layout = SlotLayout::map;
    int first = 0, prior_step = 0, element_step = 1, first_row = 0;
};

struct Level {
    std::array<int, 2> grid{};  // height, width in cells
    int stride = 0;
    std::vector<std::array<double, 2>> priors;  // width, height in pixels
    Slot classes;
    std::vector<Slot> boxes;  // one per coding
    std::optional<Slot> objectness;
    double offset = 0.5;

    int64_t cells() const { return int64_t{grid[0]} * grid[1]; }
    int64_t count() const { return cells() * static_cast<int64_t>(priors.size()); }
};

// Elements order[0] to order[3], times multiplier, are what a coding reads.
struct ElementOrder {
    std::array<int, 4> order{0, 1, 2, 3};
    std::array<double, 4> multiplier{1.0, 1.0, 1.0, 1.0};
};

struct CentreCoding {
    ElementOrder elements;
    Origin origin = Origin::prior;
    CentreActivation centre_activation = CentreActivation::none;
    double centre_gain = 1.0, centre_shift = 0.0;
    Unit centre_unit = Unit::prior;
    SizeActivation size_activation = SizeActivation::exp;
    Unit size_unit = Unit::prior;
    double max_log = kMaxLogScale;
};

struct DistanceCoding {
    ElementOrder elements;
    DistanceActivation activation = DistanceActivation::none;
    Unit unit = Unit::stride;
    int bins = 1;
    double max_log = kMaxLogScale;
};

struct CornerCoding {
    ElementOrder elements;
    Unit unit = Unit::pixel;
};

using BoxCoding = std::variant<CentreCoding, DistanceCoding, CornerCoding>;

// Raw elements that a coding reads of a prior.
int elements_of(const BoxCoding& coding);

struct Scores {
    Activation activation = Activation::sigmoid;
    Background background = Background::none;
    Activation objectness_activation = Activation::sigmoid;
    double class_power = 1.0, objectness_power = 0.0;
};

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
    int64_t count() const;  // priors of all levels
    bool limits_objectness() const { return selection.objectness_threshold || selection.top_n_objectness; }
    bool uses_objectness() const { return limits_objectness() || scores.objectness_power > 0; }
    int class_elements() const { return num_classes + (scores.background == Background::none ? 0 : 1); }
    int objectness_elements() const { return scores.objectness_activation == Activation::softmax ? 2 : 1; }
};

// Throws std::invalid_argument, one sentence, for the first value that is out of range or does not fit another.
void check_spec(const OneStageSpec& spec);

}  // namespace pocketdet
