#include "layer_types.h"

#include <utility>

namespace pocketdet {

static constexpr int kMany = 4096;

Count inputs_of(const std::string& layer_type) {
    constexpr std::pair<const char*, Count> kOthers[] = {
        {"Input", {0, 0}},    {"MemoryData", {0, 0}},         {"BinaryOp", {1, 2}}, {"Concat", {1, kMany}},
        {"Crop", {1, 2}},     {"DeformableConv2D", {2, 3}},   {"Eltwise", {2, kMany}}, {"Gemm", {1, 3}},
        {"Interp", {1, 2}},   {"MatMul", {2, 2}},             {"MultiHeadAttention", {1, 3}},
        {"Noop", {1, kMany}}, {"Scale", {1, 2}},
    };
    for (const auto& [type, count] : kOthers) {
        if (layer_type == type) return count;
    }
    return {1, 1};
}

Count outputs_of(const std::string& layer_type) {
    const bool many = layer_type == "Noop" || layer_type == "Slice" || layer_type == "Split";
    return {1, many ? kMany : 1};
}

int int8_scale_term(const std::string& layer_type) {
    if (layer_type == "Gemm" || layer_type == "MultiHeadAttention") return 18;
    return layer_type == "InnerProduct" || layer_type.compare(0, 11, "Convolution") == 0 ? 8 : -1;
}

}  // namespace pocketdet
