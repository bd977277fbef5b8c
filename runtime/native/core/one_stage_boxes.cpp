#include "one_stage_boxes.h"

#include <algorithm>

namespace pocketdet {

namespace {

struct Pair {
    float x, y;
};

Pair unit_of(Unit unit, const Box& reference, const std::array<double, 2>& strides, Size input) {
    switch (unit) {
        case Unit::anchor:
            return {reference.x2 - reference.x1, reference.y2 - reference.y1};
        case Unit::stride:
            return {static_cast<float>(strides[0]), static_cast<float>(strides[1])};
        case Unit::input:
            return {static_cast<float>(input.width), static_cast<float>(input.height)};
        case Unit::pixel:
            break;
    }
    return {1.0f, 1.0f};
}

Pair centre_of(const Box& box) { return {box.x1 + 0.5f * (box.x2 - box.x1), box.y1 + 0.5f * (box.y2 - box.y1)}; }

float limited_exp(float x, double max_log) {
    const float most = static_cast<float>(max_log);
    return exp_float64(x > most ? most : x);
}

// Raw elements in the coding's order, times its multiplier.
class Elements {
public:
    Elements(const ElementOrder& rule, const float* sides, std::ptrdiff_t step) {
        for (size_t i = 0; i < 4; ++i) {
            values_[i] = sides[rule.order[i] * step] * static_cast<float>(rule.multiplier[i]);
        }
    }
    float operator[](size_t i) const { return values_[i]; }

private:
    float values_[4];
};

// The mean of a distribution over 0 to bins - 1.
float distribution_mean(const float* logits, std::ptrdiff_t step, int bins) {
    float highest = logits[0];
    for (int r = 1; r < bins; ++r) highest = std::max(highest, logits[r * step]);
    double weighted = 0.0;
    double total = 0.0;
    for (int r = 0; r < bins; ++r) {
        const double power = std::exp(static_cast<double>(logits[r * step]) - static_cast<double>(highest));
        weighted += r * power;
        total += power;
    }
    return static_cast<float>(weighted / total);
}

struct Decode {
    const float* raw;
    std::ptrdiff_t step;
    const Box& reference;
    const std::array<double, 2>& strides;
    Size input;

    Pair unit(Unit which) const { return unit_of(which, reference, strides, input); }

    Box operator()(const CxcywhCoding& coding) const {
        const Elements t(coding.elements, raw, step);
        const Pair centre_unit = unit(coding.centre_unit);
        const Pair size_unit = unit(coding.size_unit);
        const Pair start = centre_of(reference);
        const bool from_anchor = coding.origin == Origin::anchor;
        const float move_x = centre_offset(coding, t[0]) * centre_unit.x;
        const float move_y = centre_offset(coding, t[1]) * centre_unit.y;
        const float x = from_anchor ? start.x + move_x : move_x;
        const float y = from_anchor ? start.y + move_y : move_y;
        const float half_width = 0.5f * (size_unit.x * box_side(coding, t[2]));
        const float half_height = 0.5f * (size_unit.y * box_side(coding, t[3]));
        return {x - half_width, y - half_height, x + half_width, y + half_height};
    }

    Box operator()(const DistanceCoding& coding) const {
        float means[4];
        const bool binned = coding.bins > 1;
        for (int k = 0; k < 4 && binned; ++k) {
            means[k] = distribution_mean(raw + k * coding.bins * step, step, coding.bins);
        }
        const Elements t(coding.elements, binned ? means : raw, binned ? 1 : step);
        const Pair one = unit(coding.unit);
        const Pair centre = centre_of(reference);
        return {centre.x - distance(coding, t[0]) * one.x, centre.y - distance(coding, t[1]) * one.y,
                centre.x + distance(coding, t[2]) * one.x, centre.y + distance(coding, t[3]) * one.y};
    }

    Box operator()(const XyxyCoding& coding) const {
        const Elements t(coding.elements, raw, step);
        const Pair one = unit(coding.unit);
        return {t[0] * one.x, t[1] * one.y, t[2] * one.x, t[3] * one.y};
    }

    static float centre_offset(const CxcywhCoding& coding, float t) {
        const float active = coding.centre_activation == CentreActivation::none      ? t
                             : coding.centre_activation == CentreActivation::sigmoid ? sigmoid_float64(t)
                                                                                     : tanh_float64(t);
        return active * static_cast<float>(coding.centre_gain) + static_cast<float>(coding.centre_shift);
    }

    static float box_side(const CxcywhCoding& coding, float t) {
        switch (coding.size_activation) {
            case SizeActivation::none:
                return t;
            case SizeActivation::exp:
                return limited_exp(t, coding.max_log);
            case SizeActivation::sigmoid:
                return sigmoid_float64(t);
            case SizeActivation::sigmoid_squared:
                return squared(2.0f * sigmoid_float64(t));
            case SizeActivation::square:
                break;
        }
        return squared(t);
    }

    static float squared(float t) { return t * t; }

    static float distance(const DistanceCoding& coding, float t) {
        if (coding.activation == DistanceActivation::relu) return t < 0.0f ? 0.0f : t;
        return coding.activation == DistanceActivation::exp ? limited_exp(t, coding.max_log) : t;
    }
};

}  // namespace

float sigmoid_float64(float x) { return static_cast<float>(1.0 / (1.0 + std::exp(-static_cast<double>(x)))); }

float tanh_float64(float x) { return static_cast<float>(2.0 / (1.0 + std::exp(-2.0 * static_cast<double>(x))) - 1.0); }

Box anchor_box(const Level& level, int64_t cell, size_t anchor) {
    const float offset = static_cast<float>(level.offset);
    const float x = (static_cast<float>(cell % level.grid[1]) + offset) * static_cast<float>(level.strides[0]);
    const float y = (static_cast<float>(cell / level.grid[1]) + offset) * static_cast<float>(level.strides[1]);
    const float half_width = 0.5f * static_cast<float>(level.anchors[anchor][0]);
    const float half_height = 0.5f * static_cast<float>(level.anchors[anchor][1]);
    return {x - half_width, y - half_height, x + half_width, y + half_height};
}

Box decode_step(const BoxCoding& coding, const float* elements, std::ptrdiff_t step, const Box& reference,
                const std::array<double, 2>& strides, Size input) {
    return std::visit(Decode{elements, step, reference, strides, input}, coding);
}

}  // namespace pocketdet
