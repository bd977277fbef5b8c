#include "layer_params.h"

#include <algorithm>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <unordered_map>

namespace pocketdet::graph {

namespace {

constexpr const char* kConvolution =
    "num_output kernel_w dilation_w stride_w pad_left bias_term weight_data_size 9=activation_type activation_params "
    "kernel_h dilation_h stride_h pad_top pad_right pad_bottom";
constexpr const char* kConvolution1D =
    "num_output kernel_w dilation_w stride_w pad_left bias_term weight_data_size 9=activation_type activation_params "
    "15=pad_right 18=pad_value dynamic_weight";

// Names of parameters in the order of their ids, which begin at 0; `id=name` skips to an id.
LayerParams named(const std::string& names, const char* more = "") {
    LayerParams params;
    std::istringstream words(names + more);
    int id = 0;
    for (std::string word; words >> word; ++id) {
        const size_t equals = word.find('=');
        if (equals != std::string::npos) id = std::stoi(word.substr(0, equals));
        params.push_back({id, equals == std::string::npos ? word : word.substr(equals + 1)});
    }
    return params;
}

const std::unordered_map<std::string_view, LayerParams>& all_params() {
    static const std::unordered_map<std::string_view, LayerParams> all{
        {"BatchNorm", named("channels eps")},
        {"Bias", named("bias_data_size")},
        {"BinaryOp", named("op_type with_scalar b")},
        {"CELU", named("alpha")},
        {"Cast", named("type_from type_to")},
        {"Clip", named("min max")},
        {"Concat", named("axis")},
        {"Convolution", named(kConvolution, " 8=int8_scale_term 18=pad_value dynamic_weight")},
        {"Convolution1D", named(kConvolution1D)},
        {"ConvolutionDepthWise", named(kConvolution, " 7=group int8_scale_term 18=pad_value dynamic_weight")},
        {"ConvolutionDepthWise1D", named(kConvolution1D, " 7=group")},
        {"Crop", named("woffset hoffset coffset outw outh outc woffset2 hoffset2 coffset2 starts ends axes 13=doffset "
                       "outd doffset2")},
        {"Deconvolution",
         named(kConvolution, " 18=output_pad_right output_pad_bottom output_w output_h 28=dynamic_weight")},
        {"DeconvolutionDepthWise",
         named(kConvolution, " 7=group 18=output_pad_right output_pad_bottom output_w output_h 28=dynamic_weight")},
        {"DeformableConv2D", named(kConvolution)},
        {"Dequantize", named("scale_data_size bias_data_size")},
        {"Dropout", named("scale")},
        {"ELU", named("alpha")},
        {"Eltwise", named("op_type coeffs")},
        {"Exp", named("base scale shift")},
        {"ExpandDims", named("3=axes")},
        {"GELU", named("fast_gelu")},
        {"Gemm", named("alpha beta transA transB constantA constantB constantC constantM constantN constantK "
                       "constant_broadcast_type_C output_N1M output_elempack output_elemtype output_transpose "
                       "18=quantize_term 20=constant_TILE_M constant_TILE_N constant_TILE_K")},
        {"GroupNorm", named("group channels eps affine")},
        {"HardSigmoid", named("alpha beta")},
        {"HardSwish", named("alpha beta")},
        {"InnerProduct",
         named("num_output bias_term weight_data_size 8=int8_scale_term activation_type activation_params")},
        {"Input", named("w h c 11=d")},
        {"InstanceNorm", named("channels eps affine")},
        {"Interp",
         named("resize_type height_scale width_scale output_height output_width dynamic_target_size align_corner")},
        {"LRN", named("region_type local_size alpha beta bias")},
        {"LayerNorm", named("affine_size eps affine")},
        {"Log", named("base scale shift")},
        {"MatMul", named("transB")},
        {"MemoryData", named("w h c 11=d 21=load_type")},
        {"MultiHeadAttention",
         named("embed_dim num_heads weight_data_size kdim vdim attn_mask scale kv_cache 18=quantize_term")},
        {"Normalize", named("across_spatial channel_shared eps scale_data_size across_channel 9=eps_mode")},
        {"PReLU", named("num_slope")},
        {"Padding", named("top bottom left right type value per_channel_pad_data_size front behind")},
        {"Permute", named("order_type")},
        {"PixelShuffle", named("upscale_factor mode")},
        {"Pooling", named("pooling_type kernel_w stride_w pad_left global_pooling pad_mode avgpool_count_include_pad "
                          "adaptive_pooling out_w 11=kernel_h stride_h pad_top pad_right pad_bottom 18=out_h")},
        {"Power", named("power scale shift")},
        {"Quantize", named("scale_data_size")},
        {"RMSNorm", named("affine_size eps affine")},
        {"ReLU", named("slope")},
        {"Reduction", named("operation reduce_all coeff axes keepdims fixbug0")},
        {"Reorg", named("stride mode")},
        {"Requantize",
         named("scale_in_data_size scale_out_data_size bias_data_size activation_type activation_params")},
        {"Reshape", named("w h c 11=d input_batch_axis output_batch_axis")},
        {"SELU", named("alpha lambda")},
        {"Scale", named("scale_data_size bias_term")},
        {"Shrink", named("bias lambd")},
        {"ShuffleChannel", named("group reverse")},
        {"Slice", named("slices axis indices")},
        {"Softmax", named("axis fixbug0")},
        {"Squeeze", named("squeeze_w squeeze_h squeeze_c axes 11=squeeze_d")},
        {"Threshold", named("threshold")},
        {"UnaryOp", named("op_type")},
    };
    return all;
}

auto named_so(std::string_view name) {
    return [name](const LayerParam& param) { return param.name == name; };
}

// Nothing where the layer's type does not have the parameter.
std::optional<int> id_of(const Layer& layer, std::string_view name) {
    const LayerParams& own = params_of(layer.type);
    const auto found = std::find_if(own.begin(), own.end(), named_so(name));
    if (found != own.end()) return found->id;
    const auto has_it = [name](const auto& entry) {
        return std::any_of(entry.second.begin(), entry.second.end(), named_so(name));
    };
    if (std::none_of(all_params().begin(), all_params().end(), has_it)) {
        throw std::logic_error("no layer type has a parameter " + std::string(name));
    }
    return std::nullopt;
}

}  // namespace

const LayerParams& params_of(std::string_view layer_type) {
    static const LayerParams none;
    const auto found = all_params().find(layer_type);
    return found == all_params().end() ? none : found->second;
}

int64_t int_param(const Layer& layer, std::string_view name, int64_t otherwise) {
    const std::optional<int> id = id_of(layer, name);
    return id ? layer.int_param(*id, otherwise) : otherwise;
}

double float_param(const Layer& layer, std::string_view name, double otherwise) {
    const std::optional<int> id = id_of(layer, name);
    return id ? layer.float_param(*id, otherwise) : otherwise;
}

Integers int_array(const Layer& layer, std::string_view name) {
    const std::optional<int> id = id_of(layer, name);
    return id ? layer.int_array(*id) : Integers{};
}

Reals float_array(const Layer& layer, std::string_view name) {
    const std::optional<int> id = id_of(layer, name);
    return id ? layer.float_array(*id) : Reals{};
}

bool has_flag(const Layer& layer, std::string_view name) { return int_param(layer, name, 0) != 0; }

}  // namespace pocketdet::graph
