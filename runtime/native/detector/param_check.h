// Decides whether ncnn may be given the text of a .param file: ncnn's loader and layers trust it.
#pragma once

#include <functional>
#include <string>

#include "manifest.h"

namespace pocketdet {

// Checks the header's counts, names, that every layer type exists and has as many blobs as it takes and gives, that
// parameters are numbers as ncnn reads them, that each blob is made before it is read and read once, and that the input
// and outputs of `spec` are there. Throws GraphError naming line and layer.
//
// Not checked here, and checked by Python's load_bundle: the parameters of each type, the shapes of all blobs, and the
// size of each layer's weights. A bundle from a stranger is loaded there first; its digest names what was checked.
void check_param(const std::string& text, const GraphSpec& spec, const std::string& label,
                 const std::function<bool(const std::string&)>& layer_exists);

}  // namespace pocketdet
