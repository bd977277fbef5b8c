// The end of a ShuffleNetV2 unit in one pass over the map. ncnn copies it three times: Concat of two branches,
// ShuffleChannel of two groups, Slice into halves.
#pragma once

#include <string>

namespace ncnn {
class Net;
}  // namespace ncnn

namespace pocketdet {

struct Kernels;

// Registers the layers with the net and returns the text of its graph with them. Names and the number of layers stay:
// the first two hand the branches on, and the one in the place of Slice writes both halves.
std::string with_joined_shuffles(ncnn::Net& net, const std::string& param, const Kernels& kernels);

}  // namespace pocketdet
