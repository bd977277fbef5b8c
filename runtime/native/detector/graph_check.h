// A network of a bundle, checked before ncnn sees it, by the rules that Python has too (runtime/native/graph,
// runtime/bundle/load.py).
#pragma once

#include "bundle.h"

namespace pocketdet {

// Checks that the ncnn of this program can run a graph, that its weights fit it, and that its blobs have the manifest's
// shapes. `rois` is the most RoIs a run may have, and fewer are checked too where a shape depends on them. Throws
// GraphError.
void check_network(const Bundle& bundle, const GraphSpec& spec, int rois);

}  // namespace pocketdet
