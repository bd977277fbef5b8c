#include "output_fields.h"

#include <algorithm>
#include <cmath>

#include "one_stage_read.h"

namespace pocketdet {

namespace {

constexpr const char* kUnread = "elements that no field reads";
constexpr double kLeastProbability = 1.0 / (1 << 20);       // about the resolution of float32 below 1
constexpr double kLeastProbabilityRange = 1.0 / (1 << 10);  // engines compute a sigmoid to 1e-7, however small it is

// A field of one level, or the part of it that lies in one output.
struct Part {
    std::string name;
    const Level& level;
    const OutputField& field;
    int first, last;  // elements, `last` excluded
    ValueRange values;
};

// Of a logit, or of a probability whose product of powers is compared with the threshold.
ValueRange score_values(Activation activation, double threshold, double power) {
    if (activation != Activation::none) return {1.0, std::nullopt};
    const double matters = power > 0 ? std::pow(threshold, 1 / power) : threshold;
    return {std::max(matters, kLeastProbabilityRange), std::max(matters, kLeastProbability)};
}

double pixels_of(Unit unit, const Level& level, const OneStageSpec& spec) {
    double largest = 0;
    switch (unit) {
        case Unit::anchor:
            for (const auto& size : level.anchors) largest = std::max({largest, size[0], size[1]});
            return largest;
        case Unit::stride:
            return std::max(level.strides[0], level.strides[1]);
        case Unit::input:
            return std::max(spec.input_size[0], spec.input_size[1]);
        case Unit::pixel:
            break;
    }
    return 1;
}

// The value that moves a side of a box by about a pixel; 1 for the logits of a distribution.
struct BoxRange {
    const Level& level;
    const OneStageSpec& spec;

    double operator()(const CxcywhCoding& coding) const {
        return of(coding.elements, std::max(pixels(coding.centre_unit), pixels(coding.size_unit)));
    }
    double operator()(const DistanceCoding& coding) const {
        return coding.bins > 1 ? 1.0 : of(coding.elements, pixels(coding.unit));
    }
    double operator()(const XyxyCoding& coding) const { return of(coding.elements, pixels(coding.unit)); }

private:
    double pixels(Unit unit) const { return pixels_of(unit, level, spec); }
    static double of(const ElementOrder& elements, double pixels) {
        double factor = 0;
        for (const double multiplier : elements.multiplier) factor = std::max(factor, std::fabs(multiplier));
        return factor * pixels > 0 ? 1 / (factor * pixels) : 1.0;
    }
};

void add_boxes(const OneStageSpec& spec, const Level& level, const std::string& where, std::vector<Part>& parts) {
    for (size_t i = 0; i < level.boxes.size(); ++i) {
        const std::string kind = spec.codings.size() > 1 ? "boxes " + std::to_string(i + 1) : "boxes";
        const ValueRange values{std::visit(BoxRange{level, spec}, spec.codings[i]), std::nullopt};
        const OutputField* sizes = level.size_field(i);
        const int count = elements_of(spec.codings[i]) / (sizes == nullptr ? 1 : 2);
        parts.push_back({kind + where, level, level.boxes[i], 0, count, values});
        if (sizes != nullptr) parts.push_back({kind + ", sizes" + where, level, *sizes, 0, count, values});
    }
}

std::vector<Part> parts_of(const OneStageSpec& spec) {
    const Scores& scores = spec.scores;
    const double threshold = spec.selection.score_threshold;
    // no score depends on the background of class values without an activation
    const Background background = scores.activation == Activation::none ? scores.background : Background::none;
    const int first = background == Background::first ? 1 : 0;
    const int last = spec.class_elements() - (background == Background::last ? 1 : 0);
    const ValueRange classes = score_values(scores.activation, threshold, scores.class_power);
    const ValueRange objectness = score_values(scores.objectness_activation, threshold, scores.objectness_power);
    std::vector<Part> parts;
    for (size_t i = 0; i < spec.levels.size(); ++i) {
        const Level& level = spec.levels[i];
        const std::string where = spec.levels.size() > 1 ? ", level " + std::to_string(i + 1) : "";
        parts.push_back({"classes" + where, level, level.classes, first, last, classes});
        if (spec.uses_objectness()) {
            parts.push_back(
                {"objectness" + where, level, *level.objectness, 0, spec.objectness_elements(), objectness});
        }
        add_boxes(spec, level, where, parts);
    }
    return parts;
}

// Where the decoder's reader finds the elements.
std::vector<uint32_t> indices_of(const Part& part, const Array& output) {
    const float* const base = output.floats();
    const auto stride = static_cast<std::ptrdiff_t>(output.size() / output.shape[0]);
    const FieldReader reader = reader_of(part.field, part.level, {base, stride});
    std::vector<uint32_t> indices;
    for (int64_t cell = 0; cell < part.level.cells(); ++cell) {
        for (size_t anchor = 0; anchor < part.level.anchors.size(); ++anchor) {
            const std::ptrdiff_t first = reader.at(cell, static_cast<int64_t>(anchor)) - base;
            for (int k = part.first; k < part.last; ++k) {
                indices.push_back(static_cast<uint32_t>(first + k * reader.element));
            }
        }
    }
    return indices;
}

std::vector<double> picked(const std::vector<double>& values, const std::vector<uint32_t>& indices) {
    std::vector<double> found;
    found.reserve(indices.size());
    for (const uint32_t index : indices) found.push_back(values[index]);
    return found;
}

}  // namespace

std::vector<Region> output_regions(const OneStageSpec& spec, const std::string& name, const Array& output) {
    std::vector<bool> is_read(output.size(), false);
    std::vector<Region> regions;
    for (const Part& part : parts_of(spec)) {
        if (part.field.output != name) continue;
        const auto anchors = static_cast<size_t>(part.level.count());
        const auto elements = static_cast<size_t>(part.last - part.first);
        regions.push_back({part.name, indices_of(part, output), {anchors, elements}, part.values, true});
        for (const uint32_t index : regions.back().indices) is_read[index] = true;
    }
    Region unread{kUnread, {}, {}, {}, false};
    for (size_t i = 0; i < is_read.size(); ++i) {
        if (!is_read[i]) unread.indices.push_back(static_cast<uint32_t>(i));
    }
    if (!unread.indices.empty()) {
        unread.shape = {unread.indices.size()};
        regions.push_back(std::move(unread));
    } else if (regions.size() == 1) {
        regions[0].name.clear();
        regions[0].shape = output.shape;
    }
    return regions;
}

void compare_output(const std::string& name, const std::vector<Region>& regions, const Array& reference,
                    const std::vector<double>& subject, const Tolerance& tolerance, std::vector<Check>& checks) {
    const std::vector<double> expected = reference.values();
    double largest = 0;
    for (const double value : expected) {
        if (std::isfinite(value)) largest = std::max(largest, std::fabs(value));
    }
    for (const Region& region : regions) {
        Tolerance own = tolerance;
        own.values = region.values;
        if (!region.is_read) {
            own.values = {largest, std::nullopt};
            own.least_snr_db = std::nullopt;
        }
        const std::string label = region.name.empty() ? name : name + ": " + region.name;
        checks.push_back(
            compare(label, region.shape, picked(expected, region.indices), picked(subject, region.indices), own));
    }
}

}  // namespace pocketdet
