#include "layer_types.h"

#include <algorithm>
#include <string_view>
#include <unordered_map>

namespace pocketdet::graph {

namespace {

constexpr Count kNone{0, 0}, kOne{1, 1}, kTwo{2, 2}, kOneOrTwo{1, 2}, kUpToThree{1, 3}, kAny{1, kMany};

}  // namespace

// runtime/native/build_ncnn.py reads the names of this table.
const std::vector<LayerType>& layer_types() {
    static const std::vector<LayerType> all{
        {"AbsVal", unchanged, kOne, kOne},
        {"BNLL", unchanged, kOne, kOne},
        {"BatchNorm", per_channel_shapes, kOne, kOne},
        {"Bias", per_channel_shapes, kOne, kOne},
        {"BinaryOp", binary_shapes, kOneOrTwo, kOne},
        {"CELU", unchanged, kOne, kOne},
        {"Cast", cast_shapes, kOne, kOne},
        {"Clip", unchanged, kOne, kOne},
        {"Concat", concat_shapes, kAny, kOne},
        {"Convolution", convolution_shapes, kOne, kOne},
        {"ConvolutionDepthWise", convolution_shapes, kOne, kOne},
        {"Crop", crop_shapes, kOneOrTwo, kOne},
        {"Deconvolution", deconvolution_shapes, kOne, kOne},
        {"DeconvolutionDepthWise", deconvolution_shapes, kOne, kOne},
        {"DeepCopy", unchanged, kOne, kOne},
        {"DeformableConv2D", deformable_shapes, {2, 3}, kOne},
        {"Dropout", unchanged, kOne, kOne},
        {"ELU", unchanged, kOne, kOne},
        {"Eltwise", eltwise_shapes, {2, kMany}, kOne},
        {"Erf", unchanged, kOne, kOne},
        {"Exp", unchanged, kOne, kOne},
        {"ExpandDims", expand_dims_shapes, kOne, kOne},
        {"Flatten", flatten_shapes, kOne, kOne},
        {"GELU", unchanged, kOne, kOne},
        {"Gemm", gemm_shapes, kUpToThree, kOne},
        {"GroupNorm", group_norm_shapes, kOne, kOne},
        {"HardSigmoid", unchanged, kOne, kOne},
        {"HardSwish", unchanged, kOne, kOne},
        {"InnerProduct", inner_product_shapes, kOne, kOne},
        {"Input", nullptr, kNone, kAny},
        {"InstanceNorm", instance_norm_shapes, kOne, kOne},
        {"Interp", interp_shapes, kOneOrTwo, kOne},
        {"LRN", lrn_shapes, kOne, kOne},
        {"LayerNorm", layer_norm_shapes, kOne, kOne},
        {"Log", unchanged, kOne, kOne},
        {"MatMul", matmul_shapes, kTwo, kOne},
        {"MemoryData", nullptr, kNone, kOne},
        {"Mish", unchanged, kOne, kOne},
        {"MultiHeadAttention", attention_shapes, kUpToThree, kOne},
        {"Noop", noop_shapes, kAny, kAny},
        {"Normalize", normalize_shapes, kOne, kOne},
        {"PReLU", per_channel_shapes, kOne, kOne},
        {"Padding", padding_shapes, kOne, kOne},
        {"Permute", permute_shapes, kOne, kOne},
        {"PixelShuffle", pixel_shuffle_shapes, kOne, kOne},
        {"Pooling", pooling_shapes, kOne, kOne},
        {"Power", unchanged, kOne, kOne},
        {"RMSNorm", layer_norm_shapes, kOne, kOne},
        {"ReLU", unchanged, kOne, kOne},
        {"Reduction", reduction_shapes, kOne, kOne},
        {"Reorg", pixel_shuffle_shapes, kOne, kOne},
        {"Reshape", reshape_shapes, kOne, kOne},
        {"SELU", unchanged, kOne, kOne},
        {"Scale", per_channel_shapes, kOneOrTwo, kOne},
        {"Shrink", unchanged, kOne, kOne},
        {"ShuffleChannel", shuffle_channel_shapes, kOne, kOne},
        {"Sigmoid", unchanged, kOne, kOne},
        {"Slice", slice_shapes, kOne, kAny},
        {"Softmax", softmax_shapes, kOne, kOne},
        {"Softplus", unchanged, kOne, kOne},
        {"Split", split_shapes, kOne, kAny},
        {"Squeeze", squeeze_shapes, kOne, kOne},
        {"Swish", unchanged, kOne, kOne},
        {"TanH", unchanged, kOne, kOne},
        {"Threshold", unchanged, kOne, kOne},
        {"UnaryOp", unary_shapes, kOne, kOne},
    };
    return all;
}

bool LayerType::has_param(int id) const {
    const LayerParams& all = params();
    return std::any_of(all.begin(), all.end(), [id](const LayerParam& param) { return param.id == id; });
}

const LayerType* find_layer_type(const std::string& name) {
    static const auto by_name = [] {
        std::unordered_map<std::string_view, const LayerType*> found;
        for (const LayerType& type : layer_types()) found.emplace(type.name, &type);
        return found;
    }();
    const auto found = by_name.find(name);
    return found == by_name.end() ? nullptr : found->second;
}

}  // namespace pocketdet::graph
