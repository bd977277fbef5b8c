// Shape hints, parameter 30 of any layer: dims, w, h, c or dims, w, h, d, c for each output. They steer ncnn's choice
// of kernels, so they must be true.
#pragma once

#include "infer_shapes.h"

namespace pocketdet::graph {

// Throws GraphError for a hint that is not the shape of its blob.
void check_hints(const Layer& layer, const BlobShapes& shapes);

}  // namespace pocketdet::graph
