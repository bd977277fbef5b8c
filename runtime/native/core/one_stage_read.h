// Access to the values of an anchor in the outputs of a network. Definition: docs/reference/one-stage.md.
#pragma once

#include <array>
#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "one_stage_spec.h"

namespace pocketdet {

// A float32 output of one image: (rows, columns) or (channels, height, width), without a batch axis. `stride` is the
// distance of the first axis in floats; the other axes are contiguous.
struct OutputView {
    const float* data;
    std::ptrdiff_t stride;
};

// Address computation for one OutputField.
struct FieldReader {
    const float* base;
    std::ptrdiff_t cell, anchor, element;  // strides in floats

    const float* at(int64_t cell_index, int64_t anchor_index) const {
        return base + cell_index * cell + anchor_index * anchor;
    }
};

FieldReader reader_of(const OutputField& field, const Level& level, const OutputView& output);

// Names of all outputs that the decoder reads, without duplicates.
std::vector<std::string> output_names(const OneStageSpec& spec);

// Describes the first field that does not fit the output shapes, in one sentence. Empty if all fields fit.
std::string shape_error(const OneStageSpec& spec, const std::map<std::string, std::vector<int64_t>>& shapes);

// Formats a shape as "(3, 64, 64)".
std::string shape_text(const std::vector<int64_t>& shape);

}  // namespace pocketdet
