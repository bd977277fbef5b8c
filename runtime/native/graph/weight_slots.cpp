#include "weight_slots.h"

#include <algorithm>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include "layer_params.h"
#include "message_text.h"
#include "numbers.h"

namespace pocketdet::graph {

namespace {

using Rule = Slots (*)(const Layer&);

void add_bias(Slots& slots, const Layer& layer, int64_t channels) {
    if (has_flag(layer, "bias_term")) slots.push_back({"bias", {channels}});
}

// The tagged weight of a convolution.
Slot kernel(const Layer& layer, bool is_1d = false) {
    const int64_t out = int_param(layer, "num_output", 0), count = int_param(layer, "weight_data_size", 0);
    const int64_t group = int_param(layer, "group", 1), width = int_param(layer, "kernel_w", 0);
    const Shape sides = is_1d ? Shape{width} : Shape{int_param(layer, "kernel_h", width), width};
    const bool is_positive = out > 0 && count > 0 && *std::min_element(sides.begin(), sides.end()) > 0;
    const int64_t per_input = is_positive ? multiply(out, elements_of(sides)) : 0;
    if (per_input < 1 || count % per_input != 0 || group <= 0 || out % group != 0) {
        layer.fail(std::to_string(count) + " weights do not fit " + std::to_string(out) + " output channels, kernel " +
                   tuple_text(sides) + " (h, w) and " + std::to_string(group) + " groups");
    }
    Slot slot{"weight", {out, count / per_input}, true};
    slot.shape.insert(slot.shape.end(), sides.begin(), sides.end());
    return slot;
}

void add_int8_scales(Slots& slots, int64_t term, int64_t weight_scales) {
    if (term != 0) {
        slots.push_back({"weight_scales", {weight_scales}});
        slots.push_back({"input_scale", {1}});
    }
    if (term > 100) slots.push_back({"output_scale", {1}});
}

Slots convolution(const Layer& layer) {
    if (has_flag(layer, "dynamic_weight")) return {};
    Slots slots{kernel(layer)};
    const int64_t out = slots[0].shape[0];
    add_bias(slots, layer, out);
    add_int8_scales(slots, int_param(layer, "int8_scale_term", 0), out);
    return slots;
}

Slots convolution_depthwise(const Layer& layer) {
    if (has_flag(layer, "dynamic_weight")) return {};
    const int64_t group = int_param(layer, "group", 1), term = int_param(layer, "int8_scale_term", 0);
    Slots slots{kernel(layer)};
    add_bias(slots, layer, slots[0].shape[0]);
    if (term != 0 && term != 1 && term != 2 && term != 101 && term != 102) {
        layer.fail("the int8 scale term must be 0, 1, 2, 101 or 102, found " + std::to_string(term));
    }
    add_int8_scales(slots, term, term % 100 == 1 ? group : 1);
    return slots;
}

Slots deconvolution(const Layer& layer) {
    if (has_flag(layer, "dynamic_weight")) return {};
    Slots slots{kernel(layer)};
    add_bias(slots, layer, slots[0].shape[0]);
    return slots;
}

Slots deformable(const Layer& layer) {
    Slots slots{kernel(layer)};
    add_bias(slots, layer, slots[0].shape[0]);
    return slots;
}

Slots convolution_1d(const Layer& layer) {
    if (has_flag(layer, "dynamic_weight")) return {};
    Slots slots{kernel(layer, true)};
    add_bias(slots, layer, slots[0].shape[0]);
    return slots;
}

Slots inner_product(const Layer& layer) {
    const int64_t out = int_param(layer, "num_output", 0), count = int_param(layer, "weight_data_size", 0);
    if (out <= 0 || count <= 0 || count % out != 0) {
        layer.fail(std::to_string(count) + " weights do not divide by " + std::to_string(out) + " outputs");
    }
    Slots slots{{"weight", {out, count / out}, true}};
    add_bias(slots, layer, out);
    add_int8_scales(slots, has_flag(layer, "int8_scale_term") ? 1 : 0, out);
    return slots;
}

Slots gemm(const Layer& layer) {
    const bool has_a = int_param(layer, "constantA", 0) == 1, has_b = int_param(layer, "constantB", 0) == 1;
    const bool has_c = int_param(layer, "constantC", 0) == 1;
    const int64_t m = int_param(layer, "constantM", 0), n = int_param(layer, "constantN", 0);
    const int64_t k = int_param(layer, "constantK", 0);
    const int64_t quantize_term = int_param(layer, "quantize_term", 0);
    if (quantize_term >= 4) {
        layer.fail("block-quantised Gemm weights (quantize term " + std::to_string(quantize_term) +
                   ") are not supported");
    }
    Slots slots;
    if (has_a) slots.push_back({"a", int_param(layer, "transA", 0) == 0 ? Shape{m, k} : Shape{k, m}, true});
    if (has_b) slots.push_back({"b", int_param(layer, "transB", 0) == 0 ? Shape{k, n} : Shape{n, k}, true});
    const int64_t broadcast = int_param(layer, "constant_broadcast_type_C", 0);
    if (has_c && broadcast != -1) {
        const Shapes shapes{{1}, {m}, {m, 1}, {m, n}, {1, n}};
        if (broadcast < 0 || broadcast > 4) {
            layer.fail("the broadcast type of a constant C must be -1..4, found " + std::to_string(broadcast));
        }
        slots.push_back({"c", shapes[static_cast<size_t>(broadcast)], true});
    }
    if (quantize_term != 0 && has_a) slots.push_back({"a_scales", {m}});
    if (quantize_term != 0 && has_b) slots.push_back({"b_scale", {1}});
    return slots;
}

Slots multi_head_attention(const Layer& layer) {
    const int64_t embed = int_param(layer, "embed_dim", 0), count = int_param(layer, "weight_data_size", 0);
    const int64_t quantize_term = int_param(layer, "quantize_term", 0);
    if (embed <= 0 || count <= 0 || count % embed != 0 || quantize_term >= 4) {
        layer.fail(std::to_string(count) + " weights, embedding " + std::to_string(embed) + ", quantize term " +
                   std::to_string(quantize_term) + " are not supported");
    }
    const int64_t query = count / embed, key = int_param(layer, "kdim", embed), value = int_param(layer, "vdim", embed);
    const struct {
        const char* role;
        int64_t rows, columns;
    } projections[] = {{"q", embed, query}, {"k", embed, key}, {"v", embed, value}, {"o", query, embed}};
    Slots slots;
    for (const auto& one : projections) {
        slots.push_back({std::string(one.role) + "_weight", {one.rows, one.columns}, true});
        slots.push_back({std::string(one.role) + "_bias", {one.rows}});
    }
    if (quantize_term != 0) {
        for (const char* role : {"q_scales", "k_scales", "v_scales"}) slots.push_back({role, {embed}});
        slots.push_back({"o_scale", {1}});
    }
    return slots;
}

Slots memory_data(const Layer& layer) {
    const int64_t w = int_param(layer, "w", 0), h = int_param(layer, "h", 0), c = int_param(layer, "c", 0);
    const int64_t d = int_param(layer, "d", 0), load_type = int_param(layer, "load_type", 1);
    if (load_type != 0 && load_type != 1) {
        layer.fail("load type " + std::to_string(load_type) + " is not supported, expected 0 (tagged) or 1 (raw)");
    }
    if (w == 0 && h == 0 && c == 0 && d == 0) return {};
    return {{"data", written_shape(w, h, c, d), load_type == 0}};
}

Slots batch_norm(const Layer& layer) {
    const int64_t channels = int_param(layer, "channels", 0);
    return {{"slope", {channels}}, {"mean", {channels}}, {"variance", {channels}}, {"bias", {channels}}};
}

Slots scale(const Layer& layer) {
    const int64_t channels = int_param(layer, "scale_data_size", 0);
    if (channels == -233) return {};  // the second input is the scale
    Slots slots{{"scale", {channels}}};
    add_bias(slots, layer, channels);
    return slots;
}

// Gamma and beta of GroupNorm, LayerNorm and InstanceNorm.
Slots affine(const Layer& layer, const char* size_name) {
    const int64_t size = int_param(layer, size_name, 0);
    if (int_param(layer, "affine", 1) == 0) return {};
    return {{"gamma", {size}}, {"beta", {size}}};
}

Slots channel_norm(const Layer& layer) { return affine(layer, "channels"); }
Slots layer_norm(const Layer& layer) { return affine(layer, "affine_size"); }

Slots rms_norm(const Layer& layer) {
    if (int_param(layer, "affine", 1) == 0) return {};
    return {{"gamma", {int_param(layer, "affine_size", 0)}}};
}

Slots bias(const Layer& layer) { return {{"bias", {int_param(layer, "bias_data_size", 0)}}}; }
Slots slope(const Layer& layer) { return {{"slope", {int_param(layer, "num_slope", 0)}}}; }
Slots normalize(const Layer& layer) { return {{"scale", {int_param(layer, "scale_data_size", 0)}}}; }
Slots quantize(const Layer& layer) { return {{"scale", {int_param(layer, "scale_data_size", 1)}}}; }

Slots padding(const Layer& layer) {
    const int64_t count = int_param(layer, "per_channel_pad_data_size", 0);
    if (count == 0) return {};
    return {{"per_channel_value", {count}}};
}

Slots dequantize(const Layer& layer) {
    const int64_t count = int_param(layer, "bias_data_size", 0);
    Slots slots{{"scale", {int_param(layer, "scale_data_size", 1)}}};
    if (count != 0) slots.push_back({"bias", {count}});
    return slots;
}

Slots requantize(const Layer& layer) {
    const int64_t count = int_param(layer, "bias_data_size", 0);
    Slots slots{{"scale_in", {int_param(layer, "scale_in_data_size", 1)}},
                {"scale_out", {int_param(layer, "scale_out_data_size", 1)}}};
    if (count != 0) slots.push_back({"bias", {count}});
    return slots;
}

const std::unordered_map<std::string_view, Rule>& rules() {
    static const std::unordered_map<std::string_view, Rule> all{
        {"BatchNorm", batch_norm},
        {"Bias", bias},
        {"Convolution", convolution},
        {"Convolution1D", convolution_1d},
        {"ConvolutionDepthWise", convolution_depthwise},
        {"ConvolutionDepthWise1D", convolution_1d},
        {"Deconvolution", deconvolution},
        {"DeconvolutionDepthWise", deconvolution},
        {"DeformableConv2D", deformable},
        {"Dequantize", dequantize},
        {"Gemm", gemm},
        {"GroupNorm", channel_norm},
        {"InnerProduct", inner_product},
        {"InstanceNorm", channel_norm},
        {"LayerNorm", layer_norm},
        {"MemoryData", memory_data},
        {"MultiHeadAttention", multi_head_attention},
        {"Normalize", normalize},
        {"PReLU", slope},
        {"Padding", padding},
        {"Quantize", quantize},
        {"RMSNorm", rms_norm},
        {"Requantize", requantize},
        {"Scale", scale},
    };
    return all;
}

const std::unordered_set<std::string_view>& without_weights() {
    static const std::unordered_set<std::string_view> all{
        "AbsVal",
        "ArgMax",
        "BNLL",
        "BinaryOp",
        "CELU",
        "Cast",
        "Clip",
        "Concat",
        "CopyTo",
        "Crop",
        "CumulativeSum",
        "DeepCopy",
        "DetectionOutput",
        "Diag",
        "Dropout",
        "ELU",
        "Einsum",
        "Eltwise",
        "Erf",
        "Exp",
        "ExpandDims",
        "Flatten",
        "Flip",
        "Fold",
        "GELU",
        "GLU",
        "GridSample",
        "HardSigmoid",
        "HardSwish",
        "Input",
        "Interp",
        "InverseSpectrogram",
        "LRN",
        "Log",
        "MVN",
        "MatMul",
        "Mish",
        "Noop",
        "PSROIPooling",
        "Packing",
        "Permute",
        "PixelShuffle",
        "Pooling",
        "Pooling1D",
        "Pooling3D",
        "Power",
        "PriorBox",
        "Proposal",
        "ROIAlign",
        "ROIPooling",
        "ReLU",
        "Reduction",
        "Reorg",
        "Reshape",
        "RotaryEmbed",
        "SDPA",
        "SELU",
        "SPP",
        "Shrink",
        "ShuffleChannel",
        "Sigmoid",
        "Slice",
        "Softmax",
        "Softplus",
        "Spectrogram",
        "Split",
        "Squeeze",
        "StatisticsPooling",
        "Swish",
        "TanH",
        "Threshold",
        "Tile",
        "UnaryOp",
        "Unfold",
        "YoloDetectionOutput",
        "Yolov3DetectionOutput",
    };
    return all;
}

}  // namespace

Slots weight_slots(const Layer& layer) {
    if (without_weights().count(layer.type) != 0) return {};
    const auto rule = rules().find(layer.type);
    if (rule == rules().end()) {
        layer.fail("the weight layout of layer type " + shown(layer.type) +
                   " is not known, so its .bin cannot be read");
    }
    Slots slots = rule->second(layer);
    for (const Slot& slot : slots) {
        if (*std::min_element(slot.shape.begin(), slot.shape.end()) <= 0) {
            layer.fail("its " + slot.role + " would have the shape " + tuple_text(slot.shape));
        }
    }
    return slots;
}

bool has_known_weights(const std::string& layer_type) {
    return without_weights().count(layer_type) != 0 || rules().count(layer_type) != 0;
}

int64_t elements_of(const Shape& shape) {
    int64_t count = 1;
    for (const int64_t size : shape) count = multiply(count, size);
    return count;
}

Shape written_shape(int64_t w, int64_t h, int64_t c, int64_t d) {
    if (d != 0) return {c, d, h, w};
    if (c != 0) return {c, h, w};
    return h != 0 ? Shape{h, w} : Shape{w};
}

}  // namespace pocketdet::graph
