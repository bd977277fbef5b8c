#include "one_stage_read.h"

#include <algorithm>
#include <functional>

namespace pocketdet {

namespace {

// Calls `see` with every field that is read, its level and its count of elements.
void for_each_field(const OneStageSpec& spec, const std::function<void(const OutputField&, const Level&, int)>& visit) {
    for (const Level& level : spec.levels) {
        visit(level.classes, level, spec.class_elements());
        if (spec.uses_objectness()) visit(*level.objectness, level, spec.objectness_elements());
        for (size_t i = 0; i < level.boxes.size(); ++i) {
            const OutputField* sizes = level.size_field(i);
            const int elements = elements_of(spec.codings[i]);
            visit(level.boxes[i], level, sizes == nullptr ? elements : elements / 2);
            if (sizes != nullptr) visit(*sizes, level, elements / 2);
        }
    }
}

std::vector<int64_t> required_shape(const OutputField& field, const Level& level, int elements) {
    const auto last_anchor = static_cast<int64_t>(level.anchors.size()) - 1;
    const int64_t channels =
        field.first + last_anchor * field.anchor_channels + int64_t{elements - 1} * field.element_step + 1;
    const int64_t rows =
        field.first_row + (level.cells() - 1) * level.cell_step(field) + last_anchor * field.anchor_step + 1;
    if (field.layout == FieldLayout::map) return {channels, level.grid[0], level.grid[1]};
    if (field.layout == FieldLayout::rows) return {rows, channels};
    return {channels, rows};
}

bool fits(const std::vector<int64_t>& shape, const std::vector<int64_t>& needed, FieldLayout layout) {
    if (shape.size() != needed.size()) return false;
    for (size_t i = 0; i < shape.size(); ++i) {
        const bool exact = layout == FieldLayout::map && i > 0;
        if (exact ? shape[i] != needed[i] : shape[i] < needed[i]) return false;
    }
    return true;
}

const char* name_of(FieldLayout layout) {
    return layout == FieldLayout::map ? "map" : layout == FieldLayout::rows ? "rows" : "columns";
}

}  // namespace

FieldReader reader_of(const OutputField& field, const Level& level, const OutputView& output) {
    const std::ptrdiff_t stride = output.stride;
    const auto cell_step = static_cast<std::ptrdiff_t>(level.cell_step(field));
    switch (field.layout) {
        case FieldLayout::map:
            return {output.data + field.first * stride, 1, field.anchor_channels * stride, field.element_step * stride};
        case FieldLayout::rows:
            return {output.data + field.first_row * stride + field.first, cell_step * stride,
                    field.anchor_step * stride + field.anchor_channels, field.element_step};
        case FieldLayout::columns:
            break;
    }
    return {output.data + field.first * stride + field.first_row, cell_step,
            field.anchor_channels * stride + field.anchor_step, field.element_step * stride};
}

std::vector<std::string> output_names(const OneStageSpec& spec) {
    std::vector<std::string> names;
    for_each_field(spec, [&](const OutputField& field, const Level&, int) {
        if (std::find(names.begin(), names.end(), field.output) == names.end()) names.push_back(field.output);
    });
    return names;
}

std::string shape_error(const OneStageSpec& spec, const std::map<std::string, std::vector<int64_t>>& shapes) {
    std::string problem;
    for_each_field(spec, [&](const OutputField& field, const Level& level, int elements) {
        if (!problem.empty()) return;
        const std::vector<int64_t> needed = required_shape(field, level, elements);
        const auto found = shapes.find(field.output);
        if (found == shapes.end()) {
            problem = "no output '" + field.output + "': expected one of shape " + shape_text(needed);
        } else if (!fits(found->second, needed, field.layout)) {
            problem = "output '" + field.output + "' is " + shape_text(found->second) + ": its field needs " +
                      shape_text(needed) + " (" + name_of(field.layout) + ")";
        }
    });
    return problem;
}

std::string shape_text(const std::vector<int64_t>& shape) {
    std::string text;
    for (const int64_t side : shape) text += (text.empty() ? "" : ", ") + std::to_string(side);
    return "(" + text + ")";
}

}  // namespace pocketdet
