// ncnn's feature mask, parameter 31 of any layer: what the layer may not use although the engine does.
//
// A layer without half-precision storage must be given float32, and ncnn does not see to it: convert_layout
// (src/net.cpp) decides by the options after masking, so a blob of halves from the layer before reaches a kernel that
// reads twice as many bytes as there are. Stock ncnn then reads out of bounds; seen on ARMv8.2. What widens the blob is
// a layer that has no 16-bit kernels and changes nothing: Dropout with its scale of 1. On ARM it has no kernel for
// halves, so ncnn widens its input; where nothing is narrow it does nothing.
#pragma once

#include "model.h"

namespace pocketdet::graph {

// get_masked_option in src/net.cpp
constexpr int64_t kNoFp16Storage = 2, kNoBf16Storage = 4;

// Whether what `layer` makes is float32 for a reader that lacks the storage bits in `without`. Null stands for the
// caller, who feeds float32. A layer that lacks them too computes in float32 from float32. Dropout stands between
// halves and float32, but on x86 it has a kernel for bfloat16. Throws GraphError for a mask that is no integer.
bool gives_fp32(const Layer* layer, int64_t without);

// Throws GraphError for a mask that no ncnn has, and for a layer that could be given halves as floats.
void check_feature_masks(const Graph& graph);

}  // namespace pocketdet::graph
