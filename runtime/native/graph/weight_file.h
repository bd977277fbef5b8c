// The .bin format: the weights of all layers one after the other, little-endian, without an index.
//
// A tagged weight is a 32-bit tag, the data and zero bytes up to a multiple of 4; a raw one is float32 data alone. Only
// the .param says where a weight begins, so a file is valid when the weights that the layers need consume it exactly.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "model.h"

namespace pocketdet::graph {

// Fills `weights` of every layer with views of `data`. Throws GraphError naming the layer at which the file ends early,
// or the surplus. Nothing is allocated in proportion to what the parameters claim.
void read_weights(Graph& graph, const uint8_t* data, size_t size, const std::string& source);

}  // namespace pocketdet::graph
