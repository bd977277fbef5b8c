// Layers of our own in the place of ncnn's, where they are faster. Graphs in bundles are ncnn's: the text of a graph is
// changed when it is loaded, and a layer keeps its name, its blobs and its weights.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include <ncnn/layer.h>

#include "layer_line.h"
#include "precision.h"

namespace ncnn {
class Net;
}  // namespace ncnn

namespace pocketdet {

struct Kernels;

// Null where ncnn's layers are used: where 16-bit numbers are only stored, and on x86 without AVX2 and where ncnn packs
// more than 8 channels together (AVX-512).
const Kernels* kernels_for(Arithmetic arithmetic);

struct OwnLayer {
    const char* ncnn_type;
    const char* type;
    std::function<bool(const LayerLine&)> computes;  // the same as a layer of ncnn's type
    ncnn::layer_creator_func create;
    void* userdata;  // of `create`
};

// Registers layers with the net and returns the text of its graph with their types in the place of ncnn's.
std::string with_types(ncnn::Net& net, const std::string& param, const std::vector<OwnLayer>& layers);

// The same with all our layers that are faster than ncnn's on this processor, in an arithmetic that it has.
std::string with_own_layers(ncnn::Net& net, const std::string& param, Arithmetic arithmetic);

}  // namespace pocketdet
