#include "layer_types.h"

#include <initializer_list>
#include <string_view>
#include <unordered_map>

namespace pocketdet::graph {

namespace {

constexpr uint32_t ids(std::initializer_list<int> numbers) {
    uint32_t bits = 0;
    for (const int number : numbers) bits |= 1u << number;
    return bits;
}

constexpr Count kNone{0, 0}, kOne{1, 1}, kTwo{2, 2}, kOneOrTwo{1, 2}, kUpToThree{1, 3}, kAny{1, kMany};
constexpr uint32_t kConvolution = ids({0, 1, 2, 3, 4, 5, 6, 9, 10, 11, 12, 13, 14, 15, 16});

}  // namespace

// runtime/native/build_ncnn.py reads the names of this table.
const std::vector<LayerType>& layer_types() {
    static const std::vector<LayerType> all{
        {"AbsVal", unchanged, 0, kOne, kOne},
        {"BNLL", unchanged, 0, kOne, kOne},
        {"BatchNorm", per_channel_shapes, ids({0, 1}), kOne, kOne},
        {"Bias", per_channel_shapes, ids({0}), kOne, kOne},
        {"BinaryOp", binary_shapes, ids({0, 1, 2}), kOneOrTwo, kOne},
        {"CELU", unchanged, ids({0}), kOne, kOne},
        {"Cast", cast_shapes, ids({0, 1}), kOne, kOne},
        {"Clip", unchanged, ids({0, 1}), kOne, kOne},
        {"Concat", concat_shapes, ids({0}), kAny, kOne},
        {"Convolution", convolution_shapes, kConvolution | ids({8, 18, 19}), kOne, kOne},
        {"ConvolutionDepthWise", convolution_shapes, kConvolution | ids({7, 8, 18, 19}), kOne, kOne},
        {"Crop", crop_shapes, ids({0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15}), kOneOrTwo, kOne},
        {"Deconvolution", deconvolution_shapes, kConvolution | ids({18, 19, 20, 21, 28}), kOne, kOne},
        {"DeconvolutionDepthWise", deconvolution_shapes, kConvolution | ids({7, 18, 19, 20, 21, 28}), kOne, kOne},
        {"DeepCopy", unchanged, 0, kOne, kOne},
        {"DeformableConv2D", deformable_shapes, kConvolution, {2, 3}, kOne},
        {"Dropout", unchanged, ids({0}), kOne, kOne},
        {"ELU", unchanged, ids({0}), kOne, kOne},
        {"Eltwise", eltwise_shapes, ids({0, 1}), {2, kMany}, kOne},
        {"Erf", unchanged, 0, kOne, kOne},
        {"Exp", unchanged, ids({0, 1, 2}), kOne, kOne},
        {"ExpandDims", expand_dims_shapes, ids({3}), kOne, kOne},
        {"Flatten", flatten_shapes, 0, kOne, kOne},
        {"GELU", unchanged, ids({0}), kOne, kOne},
        {"Gemm", gemm_shapes, ids({0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 18, 20, 21, 22}), kUpToThree,
         kOne},
        {"GroupNorm", group_norm_shapes, ids({0, 1, 2, 3}), kOne, kOne},
        {"HardSigmoid", unchanged, ids({0, 1}), kOne, kOne},
        {"HardSwish", unchanged, ids({0, 1}), kOne, kOne},
        {"InnerProduct", inner_product_shapes, ids({0, 1, 2, 8, 9, 10}), kOne, kOne},
        {"Input", nullptr, ids({0, 1, 2, 11}), kNone, kAny},
        {"InstanceNorm", instance_norm_shapes, ids({0, 1, 2}), kOne, kOne},
        {"Interp", interp_shapes, ids({0, 1, 2, 3, 4, 5, 6}), kOneOrTwo, kOne},
        {"LRN", lrn_shapes, ids({0, 1, 2, 3, 4}), kOne, kOne},
        {"LayerNorm", layer_norm_shapes, ids({0, 1, 2}), kOne, kOne},
        {"Log", unchanged, ids({0, 1, 2}), kOne, kOne},
        {"MatMul", matmul_shapes, ids({0}), kTwo, kOne},
        {"MemoryData", nullptr, ids({0, 1, 2, 11, 21}), kNone, kOne},
        {"Mish", unchanged, 0, kOne, kOne},
        {"MultiHeadAttention", attention_shapes, ids({0, 1, 2, 3, 4, 5, 6, 7, 18}), kUpToThree, kOne},
        {"Noop", noop_shapes, 0, kAny, kAny},
        {"Normalize", normalize_shapes, ids({0, 1, 2, 3, 4, 9}), kOne, kOne},
        {"PReLU", per_channel_shapes, ids({0}), kOne, kOne},
        {"Padding", padding_shapes, ids({0, 1, 2, 3, 4, 5, 6, 7, 8}), kOne, kOne},
        {"Permute", permute_shapes, ids({0}), kOne, kOne},
        {"PixelShuffle", pixel_shuffle_shapes, ids({0, 1}), kOne, kOne},
        {"Pooling", pooling_shapes, ids({0, 1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 13, 14, 15, 18}), kOne, kOne},
        {"Power", unchanged, ids({0, 1, 2}), kOne, kOne},
        {"RMSNorm", layer_norm_shapes, ids({0, 1, 2}), kOne, kOne},
        {"ReLU", unchanged, ids({0}), kOne, kOne},
        {"Reduction", reduction_shapes, ids({0, 1, 2, 3, 4, 5}), kOne, kOne},
        {"Reorg", pixel_shuffle_shapes, ids({0, 1}), kOne, kOne},
        {"Reshape", reshape_shapes, ids({0, 1, 2, 11, 12, 13}), kOne, kOne},
        {"SELU", unchanged, ids({0, 1}), kOne, kOne},
        {"Scale", per_channel_shapes, ids({0, 1}), kOneOrTwo, kOne},
        {"Shrink", unchanged, ids({0, 1}), kOne, kOne},
        {"ShuffleChannel", shuffle_channel_shapes, ids({0, 1}), kOne, kOne},
        {"Sigmoid", unchanged, 0, kOne, kOne},
        {"Slice", slice_shapes, ids({0, 1, 2}), kOne, kAny},
        {"Softmax", softmax_shapes, ids({0, 1}), kOne, kOne},
        {"Softplus", unchanged, 0, kOne, kOne},
        {"Split", split_shapes, 0, kOne, kAny},
        {"Squeeze", squeeze_shapes, ids({0, 1, 2, 3, 11}), kOne, kOne},
        {"Swish", unchanged, 0, kOne, kOne},
        {"TanH", unchanged, 0, kOne, kOne},
        {"Threshold", unchanged, ids({0}), kOne, kOne},
        {"UnaryOp", unary_shapes, ids({0}), kOne, kOne},
    };
    return all;
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
