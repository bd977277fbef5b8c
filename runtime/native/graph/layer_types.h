// The layer types that a graph may have: how many blobs each takes and gives, and its shape rule.
#pragma once

#include <string>
#include <vector>

#include "layer_params.h"
#include "shape_rules.h"

namespace pocketdet::graph {

struct Count {
    int least, most;
};

struct LayerType {
    const char* name;
    Rule rule;  // null for Input and MemoryData, which take no blob
    Count inputs, outputs;

    const LayerParams& params() const { return params_of(name); }
    bool has_param(int id) const;
};

// In alphabetical order of their names.
const std::vector<LayerType>& layer_types();

// Null for a type that is not understood.
const LayerType* find_layer_type(const std::string& name);

}  // namespace pocketdet::graph
