#include "one_stage_scores.h"

#include <algorithm>
#include <limits>

#include "one_stage_boxes.h"

namespace pocketdet {

namespace {

constexpr float kNoBound = -std::numeric_limits<float>::infinity();
constexpr int64_t kBlock = 512;  // anchors scanned at a time

// A bound b such that value^power > threshold implies value > b. The margin is at least fifty times the float32
// rounding error; if the error may be larger, the bound is 0.
double lower_bound(double threshold, double power) {
    constexpr double kMargin = 1e-4;
    constexpr double kLeast = 1e-30;
    if (threshold < kLeast || power < 1.0 / 16) return 0.0;
    const double value = std::pow(threshold, 1.0 / power) * (1.0 - kMargin);
    return value < kLeast ? 0.0 : value;
}

float logit_lower_bound(double value) {
    if (!(value > 0.0)) return kNoBound;
    const double logit = std::log(value) - std::log1p(-value);
    return static_cast<float>(logit - 1e-5 * std::max(1.0, std::fabs(logit)));
}

float power(float value, double exponent) {
    return exponent == 1.0 ? value : static_cast<float>(std::pow(static_cast<double>(value), exponent));
}

bool all_finite(const float* values, std::ptrdiff_t step, int count) {
    bool finite = true;
    for (int k = 0; k < count; ++k) finite = finite && std::isfinite(values[k * step]);
    return finite;
}

// e^(x - max) of each element. Returns their sum from left to right.
double softmax_powers(const float* values, std::ptrdiff_t step, int count, std::vector<double>& powers) {
    float highest = values[0];
    for (int k = 1; k < count; ++k) highest = std::max(highest, values[k * step]);
    powers.resize(static_cast<size_t>(count));
    double sum = 0.0;
    for (int k = 0; k < count; ++k) {
        const double power = std::exp(static_cast<double>(values[k * step]) - static_cast<double>(highest));
        powers[static_cast<size_t>(k)] = power;
        sum += power;
    }
    return sum;
}

}  // namespace

ScoreRule::ScoreRule(const OneStageSpec& spec)
    : rule_(spec.scores),
      best_class_only_(spec.selection.best_class_only),
      uses_objectness_(spec.uses_objectness()),
      classes_(spec.num_classes),
      class_elements_(spec.class_elements()),
      objectness_elements_(spec.objectness_elements()),
      first_class_(spec.scores.background == Background::first ? 1 : 0),
      threshold_(static_cast<float>(spec.selection.score_threshold)),
      min_class_value_(static_cast<float>(lower_bound(spec.selection.score_threshold, rule_.class_power))),
      min_class_logit_(logit_lower_bound(lower_bound(spec.selection.score_threshold, rule_.class_power))),
      scan_(plan()) {
    for (const BoxCoding& coding : spec.codings) box_elements_.push_back(elements_of(coding));
}

// With softmax, p < sigmoid(x - background). There is no bound without a background element, without an activation,
// or with a factor that has no activation and may exceed 1.
ScoreRule::Scan ScoreRule::plan() const {
    const bool two = objectness_elements_ == 2;
    const bool with_factor = rule_.objectness_power > 0;
    const Scan none{false, 0, 0, kNone, kNoBound};
    if (rule_.activation == Activation::none) return none;
    if (with_factor && rule_.objectness_activation == Activation::none) return none;
    if (with_factor) {
        const float bound = logit_lower_bound(lower_bound(static_cast<double>(threshold_), rule_.objectness_power));
        return {true, two ? 1 : 0, 1, two ? 0 : kNone, bound};
    }
    if (rule_.activation == Activation::sigmoid) return {false, first_class_, classes_, kNone, min_class_logit_};
    if (rule_.background == Background::none) return none;
    return {false, first_class_, classes_, rule_.background == Background::first ? 0 : classes_, min_class_logit_};
}

void ScoreRule::candidates_above(const LevelView& view, std::vector<uint32_t>& anchors) const {
    if (scan_.bound == kNoBound) {
        for (uint32_t anchor = view.first_anchor; anchor < view.end(); ++anchor) anchors.push_back(anchor);
        return;
    }
    const FieldReader& reader = scan_.of_objectness ? view.objectness : view.classes;
    reader.cell == 1 ? scan_planes(reader, view, anchors) : scan_tables(reader, view, anchors);
}

void ScoreRule::scan_tables(const FieldReader& reader, const LevelView& view, std::vector<uint32_t>& anchors) const {
    for (uint32_t anchor = view.first_anchor; anchor < view.end(); ++anchor) {
        const float* values = view.values(reader, anchor);
        const float floor = scan_.background == kNone ? 0.0f : values[scan_.background * reader.element];
        int above = 0;
        for (int k = scan_.first; k < scan_.first + scan_.count; ++k) {
            above |= values[k * reader.element] - floor > scan_.bound ? 1 : 0;
        }
        if (above != 0) anchors.push_back(anchor);
    }
}

// Cells are contiguous, so a block of cells is compared element by element.
void ScoreRule::scan_planes(const FieldReader& reader, const LevelView& view, std::vector<uint32_t>& anchors) const {
    const int64_t each = view.anchors_per_cell();
    const int64_t cells = view.level->cells();
    int above[kBlock];
    float floor[kBlock] = {};
    for (int64_t a = 0; a < each; ++a) {
        for (int64_t start = 0; start < cells; start += kBlock) {
            const int64_t count = std::min(kBlock, cells - start);
            const float* values = reader.at(start, a);
            std::fill(above, above + count, 0);
            if (scan_.background != kNone) std::copy_n(values + scan_.background * reader.element, count, floor);
            for (int k = scan_.first; k < scan_.first + scan_.count; ++k) {
                const float* plane = values + k * reader.element;
                for (int64_t i = 0; i < count; ++i) above[i] |= plane[i] - floor[i] > scan_.bound ? 1 : 0;
            }
            for (int64_t i = 0; i < count; ++i) {
                if (above[i] == 0) continue;
                anchors.push_back(view.first_anchor + static_cast<uint32_t>((start + i) * each + a));
            }
        }
    }
}

bool ScoreRule::is_finite(const LevelView& view, uint32_t anchor) const {
    const auto finite = [&](const FieldReader& reader, int count) {
        return all_finite(view.values(reader, anchor), reader.element, count);
    };
    if (!finite(view.classes, class_elements_)) return false;
    if (uses_objectness_ && !finite(view.objectness, objectness_elements_)) return false;
    for (size_t i = 0; i < box_elements_.size(); ++i) {
        const int split = view.sizes[i] ? 2 : 1;
        if (!finite(view.boxes[i], box_elements_[i] / split)) return false;
        if (view.sizes[i] && !finite(*view.sizes[i], box_elements_[i] / split)) return false;
    }
    return true;
}

float ScoreRule::objectness(const LevelView& view, uint32_t anchor) const {
    const float* raw = view.values(view.objectness, anchor);
    switch (rule_.objectness_activation) {
        case Activation::none:
            return raw[0];
        case Activation::sigmoid:
            return sigmoid_float64(raw[0]);
        case Activation::softmax:
            break;
    }
    const double background = static_cast<double>(raw[0]);
    const double object = static_cast<double>(raw[view.objectness.element]);
    const double highest = std::max(background, object);
    const double power = std::exp(object - highest);
    return static_cast<float>(power / (std::exp(background - highest) + power));
}

void ScoreRule::keep(ClassScore score, std::vector<ClassScore>& found) const {
    if (!(score.score > threshold_)) return;
    if (!best_class_only_ || found.empty()) {
        found.push_back(score);
    } else if (score.score > found[0].score) {
        found[0] = score;
    }
}

void ScoreRule::score(const LevelView& view, uint32_t anchor, std::vector<double>& powers,
                      std::vector<ClassScore>& found) const {
    found.clear();
    const std::ptrdiff_t step = view.classes.element;
    const float* raw = view.values(view.classes, anchor);
    const bool with_factor = rule_.objectness_power > 0;
    const float factor = with_factor ? power(objectness(view, anchor), rule_.objectness_power) : 1.0f;
    const bool factor_is_share = factor >= 0.0f && factor <= 1.0f;
    double sum = 0.0;
    if (rule_.activation == Activation::softmax) sum = softmax_powers(raw, step, class_elements_, powers);
    for (int32_t label = 0; label < classes_; ++label) {
        const int k = label + first_class_;
        float value = raw[k * step];
        if (rule_.activation == Activation::sigmoid) {
            if (factor_is_share && !(value > min_class_logit_)) continue;
            value = sigmoid_float64(value);
        } else if (rule_.activation == Activation::softmax) {
            value = static_cast<float>(powers[static_cast<size_t>(k)] / sum);
        }
        if (factor_is_share && value >= 0.0f && value < min_class_value_) continue;
        const float score = power(value, rule_.class_power);
        keep({label, with_factor ? score * factor : score}, found);
    }
}

}  // namespace pocketdet
