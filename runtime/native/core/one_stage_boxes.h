// Anchors of a level and box decoding. Definition: docs/reference/one-stage.md.
#pragma once

#include "one_stage_spec.h"

namespace pocketdet {

// sigmoid and tanh computed in float64 and rounded to float32, as exp_float64.
float sigmoid_float64(float x);
float tanh_float64(float x);

// Returns anchor number `anchor` of a cell in network pixels. Cells count row by row.
Box anchor_box(const Level& level, int64_t cell, size_t anchor);

// Decodes one box.
//
// elements: raw network outputs, `step` floats apart. reference: the anchor, or the box of the coding before.
// strides: pixels per cell along x, y. input: size of the network input.
Box decode_step(const BoxCoding& coding, const float* elements, std::ptrdiff_t step, const Box& reference,
                const std::array<double, 2>& strides, Size input);

}  // namespace pocketdet
