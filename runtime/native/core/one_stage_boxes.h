// Priors, and one coding step from raw elements to a box: docs/reference/one-stage.md "Priors" and "Box coding".
#pragma once

#include "one_stage_spec.h"

namespace pocketdet {

// exp, sigmoid and tanh of float32 in float64, rounded to float32 once.
float sigmoid_rounded(float x);
float tanh_rounded(float x);

// The prior's own box; `cell` counts row by row.
Box prior_box(const Level& level, int64_t cell, size_t prior);

// The box that a coding makes of raw elements, `step` floats apart, and the box before it.
Box decode_step(const BoxCoding& coding, const float* elements, std::ptrdiff_t step, const Box& reference, int stride,
                Size input);

}  // namespace pocketdet
