// The elements of an output that are judged together: the fields of a one-stage description, level by level. As
// runtime/output_fields.py.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "golden.h"
#include "one_stage_spec.h"
#include "parity.h"

namespace pocketdet {

struct Region {
    std::string name;  // kind of the field and its level, such as "classes, level 2"; empty for a whole output
    std::vector<uint32_t> indices;  // positions in the output, row-major
    std::vector<size_t> shape;      // (anchors, elements) of a field, (n) otherwise
    ValueRange values;
    bool is_read = true;  // if not, its range is that of the whole output, and its noise is not limited
};

// The regions of an output (its name, and float32 values of a shape that fits the spec) in the order in which the
// decoder reads them; elements that no field reads come last. The spec's score threshold is the least score that
// matters.
std::vector<Region> output_regions(const OneStageSpec& spec, const std::string& name, const Array& output);

// Compares an output with its reference, each region by its own range. `subject`: values of the same shape, row-major.
// Appends a check per region.
void compare_output(const std::string& name, const std::vector<Region>& regions, const Array& reference,
                    const std::vector<double>& subject, const Tolerance& tolerance, std::vector<Check>& checks);

}  // namespace pocketdet
