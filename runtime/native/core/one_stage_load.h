// A OneStageSpec from a tree of named values, whoever holds it: JSON or Python objects. The one place that knows the
// fields' names. A field that is missing has its default; ranges are check_spec's.
//
// A `Field` has integer(low, high), number(low, high), boolean(), text(low, high), one_of(choices), list(low, high) and
// is_null(), each throwing for another type; its `Fields` (a record of it) need(name), maybe(name) and finish().
#pragma once

#include <initializer_list>
#include <limits>

#include "one_stage_spec.h"

namespace pocketdet {

template <class Field, class Fields>
class OneStageLoader {
public:
    static OneStageSpec load(const Field& field) {
        Fields fields(field);
        OneStageSpec spec;
        read(fields.need("input_size"), spec.input_size);
        read(fields.need("num_classes"), spec.num_classes);
        for (const Field& level : fields.need("levels").list(1, 16)) spec.levels.push_back(level_of(level));
        for (const Field& coding : fields.need("codings").list(1, 4)) spec.codings.push_back(coding_of(coding));
        if (const auto scores = fields.maybe("scores")) spec.scores = scores_of(*scores);
        if (const auto selection = fields.maybe("selection")) spec.selection = selection_of(*selection);
        fields.finish();
        return spec;
    }

private:
    using Names = std::initializer_list<const char*>;

    static Slot slot_of(const Field& field) {
        Fields fields(field);
        Slot slot;
        slot.output = fields.need("output").text(1, 200);
        choose(fields, "layout", {"map", "rows", "columns"}, slot.layout);
        read(fields, "first", slot.first);
        read(fields, "prior_step", slot.prior_step);
        read(fields, "element_step", slot.element_step);
        read(fields, "first_row", slot.first_row);
        fields.finish();
        return slot;
    }

    static Level level_of(const Field& field) {
        Fields fields(field);
        Level level;
        read(fields.need("grid"), level.grid);
        read(fields.need("stride"), level.stride);
        for (const Field& size : fields.need("priors").list(1, 64)) read(size, level.priors.emplace_back());
        level.classes = slot_of(fields.need("classes"));
        for (const Field& slot : fields.need("boxes").list(0, 4)) level.boxes.push_back(slot_of(slot));
        const auto objectness = fields.maybe("objectness");
        if (objectness && !objectness->is_null()) level.objectness = slot_of(*objectness);
        read(fields, "offset", level.offset);
        fields.finish();
        return level;
    }

    static ElementOrder order_of(Fields& fields) {
        ElementOrder elements;
        read(fields, "order", elements.order);
        read(fields, "multiplier", elements.multiplier);
        return elements;
    }

    static BoxCoding coding_of(const Field& field) {
        Fields fields(field);
        const std::string form = fields.need("form").one_of({"centre", "distance", "corner"});
        const ElementOrder elements = order_of(fields);
        BoxCoding coding = form == "centre"     ? BoxCoding(centre_of(fields))
                           : form == "distance" ? BoxCoding(distance_of(fields))
                                                : BoxCoding(corner_of(fields));
        std::visit([&](auto& any) { any.elements = elements; }, coding);
        fields.finish();
        return coding;
    }

    static CentreCoding centre_of(Fields& fields) {
        CentreCoding coding;
        choose(fields, "origin", {"prior", "image"}, coding.origin);
        choose(fields, "centre_activation", {"none", "tanh", "sigmoid"}, coding.centre_activation);
        read(fields, "centre_gain", coding.centre_gain);
        read(fields, "centre_shift", coding.centre_shift);
        choose(fields, "centre_unit", kUnits, coding.centre_unit);
        choose(fields, "size_activation", {"none", "exp", "sigmoid", "sigmoid_squared"}, coding.size_activation);
        choose(fields, "size_unit", kUnits, coding.size_unit);
        read(fields, "max_log", coding.max_log);
        return coding;
    }

    static DistanceCoding distance_of(Fields& fields) {
        DistanceCoding coding;
        choose(fields, "activation", {"none", "exp", "relu"}, coding.activation);
        choose(fields, "unit", kUnits, coding.unit);
        read(fields, "bins", coding.bins);
        read(fields, "max_log", coding.max_log);
        return coding;
    }

    static CornerCoding corner_of(Fields& fields) {
        CornerCoding coding;
        choose(fields, "unit", kUnits, coding.unit);
        return coding;
    }

    static Scores scores_of(const Field& field) {
        Fields fields(field);
        Scores scores;
        choose(fields, "activation", kActivations, scores.activation);
        choose(fields, "background", {"none", "first", "last"}, scores.background);
        choose(fields, "objectness_activation", kActivations, scores.objectness_activation);
        read(fields, "class_power", scores.class_power);
        read(fields, "objectness_power", scores.objectness_power);
        fields.finish();
        return scores;
    }

    static Selection selection_of(const Field& field) {
        Fields fields(field);
        Selection selection;
        read(fields, "score_threshold", selection.score_threshold);
        read(fields, "best_class_only", selection.best_class_only);
        read(fields, "objectness_threshold", selection.objectness_threshold);
        read(fields, "top_n_objectness", selection.top_n_objectness);
        read(fields, "top_n_per_level", selection.top_n_per_level);
        read(fields, "top_n", selection.top_n);
        read(fields, "clip", selection.clip);
        read(fields, "min_size", selection.min_size);
        choose(fields, "nms", {"hard", "linear", "gaussian", "none"}, selection.nms);
        read(fields, "nms_iou", selection.nms_iou);
        read(fields, "sigma", selection.sigma);
        read(fields, "per_class", selection.per_class);
        read(fields, "max_detections", selection.max_detections);
        fields.finish();
        return selection;
    }

    static constexpr Names kUnits = {"prior", "stride", "input", "pixel"};
    static constexpr Names kActivations = {"none", "sigmoid", "softmax"};

    static void read(const Field& field, int& value) {
        constexpr int64_t kMost = std::numeric_limits<int>::max();
        value = static_cast<int>(field.integer(-kMost, kMost));
    }
    static void read(const Field& field, double& value) { value = field.number(-1e300, 1e300); }
    static void read(const Field& field, bool& value) { value = field.boolean(); }
    template <class T>
    static void read(const Field& field, std::optional<T>& value) {
        value.reset();
        if (!field.is_null()) read(field, value.emplace());
    }
    template <class T, size_t count>
    static void read(const Field& field, std::array<T, count>& values) {
        const std::vector<Field> elements = field.list(count, count);
        for (size_t i = 0; i < count; ++i) read(elements[i], values[i]);
    }
    template <class T>
    static void read(Fields& fields, const char* name, T& value) {
        if (const auto field = fields.maybe(name)) read(*field, value);
    }
    // The enumerators of Enum are in the order of the names.
    template <class Enum>
    static void choose(Fields& fields, const char* name, Names names, Enum& value) {
        const auto field = fields.maybe(name);
        if (!field) return;
        const std::string chosen = field->one_of(names);
        int index = 0;
        for (const char* each : names) {
            if (chosen == each) value = static_cast<Enum>(index);
            ++index;
        }
    }
};

}  // namespace pocketdet
