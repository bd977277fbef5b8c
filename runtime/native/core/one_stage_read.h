// The values of priors in a network's outputs, docs/reference/one-stage.md "Slots".
#pragma once

#include <array>
#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "one_stage_spec.h"

namespace pocketdet {

// An output of two axes (rows, columns) or three (channels, height, width), without batch. All but the first axis lie
// in memory without gaps; `stride` floats are between two rows or planes.
struct OutputView {
    const float* data;
    std::ptrdiff_t stride;
};

// Where the elements of a level's priors are.
struct SlotReader {
    const float* base;
    std::ptrdiff_t cell, prior, element;  // steps, in floats

    const float* at(int64_t cell_index, int64_t prior_index) const {
        return base + cell_index * cell + prior_index * prior;
    }
};

SlotReader reader_of(const Slot& slot, size_t priors, const OutputView& output);

// The names of all outputs that are read, each once.
std::vector<std::string> outputs_read(const OneStageSpec& spec);

// One sentence about the first slot that the outputs, given by their shapes, do not have room for; empty if all fit.
std::string misfit(const OneStageSpec& spec, const std::map<std::string, std::vector<int64_t>>& shapes);

// As "(3, 64, 64)".
std::string shape_text(const std::vector<int64_t>& shape);

}  // namespace pocketdet
