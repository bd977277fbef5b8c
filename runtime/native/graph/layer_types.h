// The layer types that a graph may have: how many blobs each takes and gives, its parameters, and its shape rule.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "shape_rules.h"

namespace pocketdet::graph {

struct Count {
    int least, most;
};

constexpr int kShapeHints = 30, kFeatureMask = 31;  // parameters of any layer

struct LayerType {
    const char* name;
    Rule rule;        // null for Input and MemoryData, which take no blob
    uint32_t params;  // a bit for each parameter id, kShapeHints and kFeatureMask aside
    Count inputs, outputs;

    bool has_param(int id) const { return (params >> id & 1u) != 0; }
};

// In alphabetical order of their names.
const std::vector<LayerType>& layer_types();

// Null for a type that is not understood.
const LayerType* find_layer_type(const std::string& name);

}  // namespace pocketdet::graph
