// Several layers of ncnn in one pass over the map:
// - Concat of two branches, ShuffleChannel of two groups, Slice into halves: the end of a ShuffleNetV2 unit,
// - a fully connected layer and ReLU.
#pragma once

#include <string>

namespace ncnn {
class Net;
}  // namespace ncnn

namespace pocketdet {

struct Kernels;

// Registers the layers with the net and returns the text of its graph with them. `param` is what with_types returned.
// Layers keep their names and their number: those that have nothing left to do pass their inputs on.
std::string with_joined_layers(ncnn::Net& net, const std::string& param, const Kernels& kernels);

}  // namespace pocketdet
