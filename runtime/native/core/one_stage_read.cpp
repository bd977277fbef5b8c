#include "one_stage_read.h"

#include <algorithm>
#include <functional>

namespace pocketdet {

namespace {

// Calls `see` with every slot that is read, its level and its count of elements.
void for_each_slot(const OneStageSpec& spec, const std::function<void(const Slot&, const Level&, int)>& see) {
    for (const Level& level : spec.levels) {
        see(level.classes, level, spec.class_elements());
        if (spec.uses_objectness()) see(*level.objectness, level, spec.objectness_elements());
        for (size_t i = 0; i < level.boxes.size(); ++i) see(level.boxes[i], level, elements_of(spec.codings[i]));
    }
}

std::vector<int64_t> shape_needed(const Slot& slot, const Level& level, int elements) {
    const int64_t channels = slot.first + static_cast<int64_t>(level.priors.size() - 1) * slot.prior_step +
                             int64_t{elements - 1} * slot.element_step + 1;
    const int64_t rows = slot.first_row + level.count();
    if (slot.layout == SlotLayout::map) return {channels, level.grid[0], level.grid[1]};
    if (slot.layout == SlotLayout::rows) return {rows, channels};
    return {channels, rows};
}

bool has_room(const std::vector<int64_t>& shape, const std::vector<int64_t>& needed, SlotLayout layout) {
    if (shape.size() != needed.size()) return false;
    for (size_t i = 0; i < shape.size(); ++i) {
        const bool exact = layout == SlotLayout::map && i > 0;
        if (exact ? shape[i] != needed[i] : shape[i] < needed[i]) return false;
    }
    return true;
}

const char* name_of(SlotLayout layout) {
    return layout == SlotLayout::map ? "map" : layout == SlotLayout::rows ? "rows" : "columns";
}

}  // namespace

SlotReader reader_of(const Slot& slot, size_t priors, const OutputView& output) {
    const auto each = static_cast<std::ptrdiff_t>(priors);
    const std::ptrdiff_t stride = output.stride;
    switch (slot.layout) {
        case SlotLayout::map:
            return {output.data + slot.first * stride, 1, slot.prior_step * stride, slot.element_step * stride};
        case SlotLayout::rows:
            return {output.data + slot.first_row * stride + slot.first, each * stride, stride, slot.element_step};
        case SlotLayout::columns:
            break;
    }
    return {output.data + slot.first * stride + slot.first_row, each, 1, slot.element_step * stride};
}

std::vector<std::string> outputs_read(const OneStageSpec& spec) {
    std::vector<std::string> names;
    for_each_slot(spec, [&](const Slot& slot, const Level&, int) {
        if (std::find(names.begin(), names.end(), slot.output) == names.end()) names.push_back(slot.output);
    });
    return names;
}

std::string misfit(const OneStageSpec& spec, const std::map<std::string, std::vector<int64_t>>& shapes) {
    std::string problem;
    for_each_slot(spec, [&](const Slot& slot, const Level& level, int elements) {
        if (!problem.empty()) return;
        const std::vector<int64_t> needed = shape_needed(slot, level, elements);
        const auto found = shapes.find(slot.output);
        if (found == shapes.end()) {
            problem = "no output '" + slot.output + "': expected one of shape " + shape_text(needed);
        } else if (!has_room(found->second, needed, slot.layout)) {
            problem = "output '" + slot.output + "' is " + shape_text(found->second) + ": its slot needs " +
                      shape_text(needed) + " (" + name_of(slot.layout) + ")";
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
