#include "layer_types.h"

#include <algorithm>
#include <sstream>
#include <string_view>
#include <unordered_map>

namespace pocketdet::graph {

namespace {

constexpr Count kNone{0, 0}, kOne{1, 1}, kTwo{2, 2}, kOneOrTwo{1, 2}, kUpToThree{1, 3}, kAny{1, kMany};
const std::string kConvolution =
    "num_output kernel_w dilation_w stride_w pad_left bias_term weight_data_size 9=activation_type activation_params "
    "kernel_h dilation_h stride_h pad_top pad_right pad_bottom";

// Names of parameters in the order of their ids, which begin at 0; `id=name` skips to an id.
LayerParams named(const std::string& names) {
    LayerParams params;
    std::istringstream words(names);
    int id = 0;
    for (std::string word; words >> word; ++id) {
        const size_t equals = word.find('=');
        if (equals != std::string::npos) id = std::stoi(word.substr(0, equals));
        params.push_back({id, equals == std::string::npos ? word : word.substr(equals + 1)});
    }
    return params;
}

}  // namespace

// runtime/native/build_ncnn.py reads the names of this table.
const std::vector<LayerType>& layer_types() {
    static const std::vector<LayerType> all{
        {"AbsVal", unchanged, {}, kOne, kOne},
        {"BNLL", unchanged, {}, kOne, kOne},
        {"BatchNorm", per_channel_shapes, named("channels eps"), kOne, kOne},
        {"Bias", per_channel_shapes, named("bias_data_size"), kOne, kOne},
        {"BinaryOp", binary_shapes, named("op_type with_scalar b"), kOneOrTwo, kOne},
        {"CELU", unchanged, named("alpha"), kOne, kOne},
        {"Cast", cast_shapes, named("type_from type_to"), kOne, kOne},
        {"Clip", unchanged, named("min max"), kOne, kOne},
        {"Concat", concat_shapes, named("axis"), kAny, kOne},
        {"Convolution", convolution_shapes, named(kConvolution + " 8=int8_scale_term 18=pad_value dynamic_weight"),
         kOne, kOne},
        {"ConvolutionDepthWise", convolution_shapes,
         named(kConvolution + " 7=group int8_scale_term 18=pad_value dynamic_weight"), kOne, kOne},
        {"Crop", crop_shapes,
         named("woffset hoffset coffset outw outh outc woffset2 hoffset2 coffset2 starts ends axes 13=doffset outd "
               "doffset2"),
         kOneOrTwo, kOne},
        {"Deconvolution", deconvolution_shapes,
         named(kConvolution + " 18=output_pad_right output_pad_bottom output_w output_h 28=dynamic_weight"), kOne,
         kOne},
        {"DeconvolutionDepthWise", deconvolution_shapes,
         named(kConvolution + " 7=group 18=output_pad_right output_pad_bottom output_w output_h 28=dynamic_weight"),
         kOne, kOne},
        {"DeepCopy", unchanged, {}, kOne, kOne},
        {"DeformableConv2D", deformable_shapes, named(kConvolution), {2, 3}, kOne},
        {"Dropout", unchanged, named("scale"), kOne, kOne},
        {"ELU", unchanged, named("alpha"), kOne, kOne},
        {"Eltwise", eltwise_shapes, named("op_type coeffs"), {2, kMany}, kOne},
        {"Erf", unchanged, {}, kOne, kOne},
        {"Exp", unchanged, named("base scale shift"), kOne, kOne},
        {"ExpandDims", expand_dims_shapes, named("3=axes"), kOne, kOne},
        {"Flatten", flatten_shapes, {}, kOne, kOne},
        {"GELU", unchanged, named("fast_gelu"), kOne, kOne},
        {"Gemm", gemm_shapes,
         named("alpha beta transA transB constantA constantB constantC constantM constantN constantK "
               "constant_broadcast_type_C output_N1M output_elempack output_elemtype output_transpose 18=quantize_term "
               "20=constant_TILE_M constant_TILE_N constant_TILE_K"),
         kUpToThree, kOne},
        {"GroupNorm", group_norm_shapes, named("group channels eps affine"), kOne, kOne},
        {"HardSigmoid", unchanged, named("alpha beta"), kOne, kOne},
        {"HardSwish", unchanged, named("alpha beta"), kOne, kOne},
        {"InnerProduct", inner_product_shapes,
         named("num_output bias_term weight_data_size 8=int8_scale_term activation_type activation_params"), kOne,
         kOne},
        {"Input", nullptr, named("w h c 11=d"), kNone, kAny},
        {"InstanceNorm", instance_norm_shapes, named("channels eps affine"), kOne, kOne},
        {"Interp", interp_shapes,
         named("resize_type height_scale width_scale output_height output_width dynamic_target_size align_corner"),
         kOneOrTwo, kOne},
        {"LRN", lrn_shapes, named("region_type local_size alpha beta bias"), kOne, kOne},
        {"LayerNorm", layer_norm_shapes, named("affine_size eps affine"), kOne, kOne},
        {"Log", unchanged, named("base scale shift"), kOne, kOne},
        {"MatMul", matmul_shapes, named("transB"), kTwo, kOne},
        {"MemoryData", nullptr, named("w h c 11=d 21=load_type"), kNone, kOne},
        {"Mish", unchanged, {}, kOne, kOne},
        {"MultiHeadAttention", attention_shapes,
         named("embed_dim num_heads weight_data_size kdim vdim attn_mask scale kv_cache 18=quantize_term"), kUpToThree,
         kOne},
        {"Noop", noop_shapes, {}, kAny, kAny},
        {"Normalize", normalize_shapes,
         named("across_spatial channel_shared eps scale_data_size across_channel 9=eps_mode"), kOne, kOne},
        {"PReLU", per_channel_shapes, named("num_slope"), kOne, kOne},
        {"Padding", padding_shapes, named("top bottom left right type value per_channel_pad_data_size front behind"),
         kOne, kOne},
        {"Permute", permute_shapes, named("order_type"), kOne, kOne},
        {"PixelShuffle", pixel_shuffle_shapes, named("upscale_factor mode"), kOne, kOne},
        {"Pooling", pooling_shapes,
         named("pooling_type kernel_w stride_w pad_left global_pooling pad_mode avgpool_count_include_pad "
               "adaptive_pooling out_w 11=kernel_h stride_h pad_top pad_right pad_bottom 18=out_h"),
         kOne, kOne},
        {"Power", unchanged, named("power scale shift"), kOne, kOne},
        {"RMSNorm", layer_norm_shapes, named("affine_size eps affine"), kOne, kOne},
        {"ReLU", unchanged, named("slope"), kOne, kOne},
        {"Reduction", reduction_shapes, named("operation reduce_all coeff axes keepdims fixbug0"), kOne, kOne},
        {"Reorg", pixel_shuffle_shapes, named("stride mode"), kOne, kOne},
        {"Reshape", reshape_shapes, named("w h c 11=d input_batch_axis output_batch_axis"), kOne, kOne},
        {"SELU", unchanged, named("alpha lambda"), kOne, kOne},
        {"Scale", per_channel_shapes, named("scale_data_size bias_term"), kOneOrTwo, kOne},
        {"Shrink", unchanged, named("bias lambd"), kOne, kOne},
        {"ShuffleChannel", shuffle_channel_shapes, named("group reverse"), kOne, kOne},
        {"Sigmoid", unchanged, {}, kOne, kOne},
        {"Slice", slice_shapes, named("slices axis indices"), kOne, kAny},
        {"Softmax", softmax_shapes, named("axis fixbug0"), kOne, kOne},
        {"Softplus", unchanged, {}, kOne, kOne},
        {"Split", split_shapes, {}, kOne, kAny},
        {"Squeeze", squeeze_shapes, named("squeeze_w squeeze_h squeeze_c axes 11=squeeze_d"), kOne, kOne},
        {"Swish", unchanged, {}, kOne, kOne},
        {"TanH", unchanged, {}, kOne, kOne},
        {"Threshold", unchanged, named("threshold"), kOne, kOne},
        {"UnaryOp", unary_shapes, named("op_type"), kOne, kOne},
    };
    return all;
}

bool LayerType::has_param(int id) const {
    return std::any_of(params.begin(), params.end(), [id](const LayerParam& param) { return param.id == id; });
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
