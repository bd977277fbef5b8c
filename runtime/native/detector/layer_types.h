// What the layer types of ncnn take and give, as runtime/ncnn_graph/shapes has them.
#pragma once

#include <string>

namespace pocketdet {

struct Count {
    int least, most;
};

Count inputs_of(const std::string& layer_type);
Count outputs_of(const std::string& layer_type);

// The parameter that makes a layer with weights int8; -1 for the other types.
int int8_scale_term(const std::string& layer_type);

}  // namespace pocketdet
