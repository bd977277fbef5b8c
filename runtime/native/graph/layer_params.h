// Parameters of layers by ncnn's names, as in the load_param of src/layer/NAME.cpp.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "model.h"

namespace pocketdet::graph {

constexpr int kShapeHints = 30, kFeatureMask = 31;  // parameters of any layer

struct LayerParam {
    int id;
    std::string name;
};
using LayerParams = std::vector<LayerParam>;

// The parameters of a layer type, without kShapeHints and kFeatureMask; none for an unknown type.
const LayerParams& params_of(std::string_view layer_type);

// The value of a parameter; `otherwise`, or nothing, where it is absent or the layer's type does not have it. Throws
// ParamTypeError for a value of another type, and std::logic_error for a name that no layer type has.
int64_t int_param(const Layer& layer, std::string_view name, int64_t otherwise);
double float_param(const Layer& layer, std::string_view name, double otherwise);
Integers int_array(const Layer& layer, std::string_view name);
Reals float_array(const Layer& layer, std::string_view name);
bool has_flag(const Layer& layer, std::string_view name);  // an integer that is not 0

}  // namespace pocketdet::graph
