// Reads a OneStageSpec from a tree of named values: JSON or Python objects. The field names are those of the bundle
// manifest. A missing optional field has its default; check_spec validates ranges.
//
// `Node` provides integer(low, high), number(low, high), boolean(), text(low, high), one_of(choices), list(low, high)
// which throw if the value has another type, is_null() and is_list(). `Record` is made of a node with named fields and
// provides need(name), maybe(name) and finish(), which throws if a field was not read.
#pragma once

#include <initializer_list>
#include <limits>

#include "one_stage_spec.h"

namespace pocketdet {

template <class Node, class Record>
class OneStageLoader {
public:
    static OneStageSpec load(const Node& node) {
        Record record(node);
        OneStageSpec spec;
        read(record.need("input_size"), spec.input_size);
        read(record.need("num_classes"), spec.num_classes);
        for (const Node& level : record.need("levels").list(1, 16)) spec.levels.push_back(level_of(level));
        for (const Node& coding : record.need("codings").list(1, 4)) spec.codings.push_back(coding_of(coding));
        if (const auto scores = record.maybe("scores")) spec.scores = scores_of(*scores);
        if (const auto selection = record.maybe("selection")) spec.selection = selection_of(*selection);
        record.finish();
        return spec;
    }

private:
    using Names = std::initializer_list<const char*>;

    static OutputField output_field(const Node& node) {
        Record record(node);
        OutputField result;
        result.output = record.need("output").text(1, 200);
        choose(record, "layout", {"map", "rows", "columns"}, result.layout);
        read(record, "first", result.first);
        read(record, "anchor_channels", result.anchor_channels);
        read(record, "element_step", result.element_step);
        read(record, "first_row", result.first_row);
        read(record, "cell_step", result.cell_step);
        read(record, "anchor_step", result.anchor_step);
        record.finish();
        return result;
    }

    static Level level_of(const Node& node) {
        Record record(node);
        Level level;
        read(record.need("grid"), level.grid);
        read_strides(record.need("stride"), level.strides);
        for (const Node& size : record.need("anchors").list(1, 64)) read(size, level.anchors.emplace_back());
        level.classes = output_field(record.need("classes"));
        for (const Node& boxes : record.need("boxes").list(0, 4)) level.boxes.push_back(output_field(boxes));
        const auto objectness = record.maybe("objectness");
        if (objectness && !objectness->is_null()) level.objectness = output_field(*objectness);
        read(record, "offset", level.offset);
        if (const auto sizes = record.maybe("sizes")) {
            for (const Node& field : sizes->list(0, 4)) {
                level.sizes.emplace_back();
                if (!field.is_null()) level.sizes.back() = output_field(field);
            }
        }
        record.finish();
        return level;
    }

    // A number, or (x, y).
    static void read_strides(const Node& node, std::array<double, 2>& strides) {
        if (node.is_list()) return read(node, strides);
        read(node, strides[0]);
        strides[1] = strides[0];
    }

    static ElementOrder order_of(Record& record) {
        ElementOrder elements;
        read(record, "order", elements.order);
        read(record, "multiplier", elements.multiplier);
        return elements;
    }

    static BoxCoding coding_of(const Node& node) {
        Record record(node);
        const std::string encoding = record.need("encoding").one_of({"cxcywh", "distance", "xyxy"});
        const ElementOrder elements = order_of(record);
        BoxCoding coding = encoding == "cxcywh"     ? BoxCoding(cxcywh_of(record))
                           : encoding == "distance" ? BoxCoding(distance_of(record))
                                                    : BoxCoding(xyxy_of(record));
        std::visit([&](auto& any) { any.elements = elements; }, coding);
        record.finish();
        return coding;
    }

    static CxcywhCoding cxcywh_of(Record& record) {
        CxcywhCoding coding;
        choose(record, "origin", {"anchor", "image"}, coding.origin);
        choose(record, "centre_activation", {"none", "tanh", "sigmoid"}, coding.centre_activation);
        read(record, "centre_gain", coding.centre_gain);
        read(record, "centre_shift", coding.centre_shift);
        choose(record, "centre_unit", kUnits, coding.centre_unit);
        choose(record, "size_activation", {"none", "exp", "sigmoid", "sigmoid_squared", "square"},
               coding.size_activation);
        choose(record, "size_unit", kUnits, coding.size_unit);
        read(record, "max_log", coding.max_log);
        return coding;
    }

    static DistanceCoding distance_of(Record& record) {
        DistanceCoding coding;
        choose(record, "activation", {"none", "exp", "relu"}, coding.activation);
        choose(record, "unit", kUnits, coding.unit);
        read(record, "bins", coding.bins);
        read(record, "max_log", coding.max_log);
        return coding;
    }

    static XyxyCoding xyxy_of(Record& record) {
        XyxyCoding coding;
        choose(record, "unit", kUnits, coding.unit);
        return coding;
    }

    static Scores scores_of(const Node& node) {
        Record record(node);
        Scores scores;
        choose(record, "activation", kActivations, scores.activation);
        choose(record, "background", {"none", "first", "last"}, scores.background);
        choose(record, "objectness_activation", kActivations, scores.objectness_activation);
        read(record, "class_power", scores.class_power);
        read(record, "objectness_power", scores.objectness_power);
        record.finish();
        return scores;
    }

    static Selection selection_of(const Node& node) {
        Record record(node);
        Selection selection;
        read(record, "score_threshold", selection.score_threshold);
        read(record, "best_class_only", selection.best_class_only);
        read(record, "objectness_threshold", selection.objectness_threshold);
        read(record, "top_n_objectness", selection.top_n_objectness);
        read(record, "top_n_per_level", selection.top_n_per_level);
        read(record, "top_n", selection.top_n);
        read(record, "clip", selection.clip);
        read(record, "min_size", selection.min_size);
        choose(record, "nms", {"hard", "linear", "gaussian", "none"}, selection.nms);
        read(record, "nms_iou", selection.nms_iou);
        read(record, "sigma", selection.sigma);
        read(record, "per_class", selection.per_class);
        read(record, "max_detections", selection.max_detections);
        record.finish();
        return selection;
    }

    static constexpr Names kUnits = {"anchor", "stride", "input", "pixel"};
    static constexpr Names kActivations = {"none", "sigmoid", "softmax"};

    static void read(const Node& node, int& value) {
        constexpr int64_t kMost = std::numeric_limits<int>::max();
        value = static_cast<int>(node.integer(-kMost, kMost));
    }
    static void read(const Node& node, double& value) { value = node.number(-1e300, 1e300); }
    static void read(const Node& node, bool& value) { value = node.boolean(); }
    template <class T>
    static void read(const Node& node, std::optional<T>& value) {
        value.reset();
        if (!node.is_null()) read(node, value.emplace());
    }
    template <class T, size_t count>
    static void read(const Node& node, std::array<T, count>& values) {
        const std::vector<Node> elements = node.list(count, count);
        for (size_t i = 0; i < count; ++i) read(elements[i], values[i]);
    }
    template <class T>
    static void read(Record& record, const char* name, T& value) {
        if (const auto node = record.maybe(name)) read(*node, value);
    }
    // The enumerators of Enum are in the order of the names.
    template <class Enum>
    static void choose(Record& record, const char* name, Names names, Enum& value) {
        const auto node = record.maybe(name);
        if (!node) return;
        const std::string chosen = node->one_of(names);
        int index = 0;
        for (const char* each : names) {
            if (chosen == each) value = static_cast<Enum>(index);
            ++index;
        }
    }
};

}  // namespace pocketdet
