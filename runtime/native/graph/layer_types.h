// The layer types that a graph may have: how many blobs each takes and gives, its parameters, and its shape rule.
#pragma once

#include <string>
#include <vector>

#include "shape_rules.h"

namespace pocketdet::graph {

struct Count {
    int least, most;
};

constexpr int kShapeHints = 30, kFeatureMask = 31;  // parameters of any layer

struct LayerParam {
    int id;
    std::string name;  // as in the type's load_param, src/layer/NAME.cpp
};
using LayerParams = std::vector<LayerParam>;

struct LayerType {
    const char* name;
    Rule rule;           // null for Input and MemoryData, which take no blob
    LayerParams params;  // without kShapeHints and kFeatureMask
    Count inputs, outputs;

    bool has_param(int id) const;
};

// In alphabetical order of their names.
const std::vector<LayerType>& layer_types();

// Null for a type that is not understood.
const LayerType* find_layer_type(const std::string& name);

}  // namespace pocketdet::graph
