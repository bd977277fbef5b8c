#include "check_weights.h"

#include <algorithm>
#include <cstring>
#include <unordered_map>

#include "layer_params.h"
#include "message_text.h"
#include "numbers.h"
#include "weight_slots.h"

namespace pocketdet::graph {

namespace {

// Whether none of the numbers has an exponent of all ones.
template <typename Bits>
bool is_finite(const uint8_t* data, int64_t count, Bits exponent) {
    bool finite = true;
    for (int64_t i = 0; i < count; ++i) {
        Bits bits;
        std::memcpy(&bits, data + static_cast<size_t>(i) * sizeof(Bits), sizeof(Bits));
        finite &= (bits & exponent) != exponent;
    }
    return finite;
}

bool is_finite(const Weight& weight) {
    const int64_t count = elements_of(weight.shape);
    switch (weight.storage) {
        case Storage::raw:
        case Storage::fp32:
        case Storage::fp32_scaled:
            return is_finite<uint32_t>(weight.data, count, 0x7f800000u);
        case Storage::fp16:
            return is_finite<uint16_t>(weight.data, count, 0x7c00u);
        case Storage::bf16:
            return is_finite<uint16_t>(weight.data, count, 0x7f80u);
        case Storage::table256:
            return is_finite<uint32_t>(weight.table, 256, 0x7f800000u);
        case Storage::int8:
            break;
    }
    return true;
}

void check_weight(const Layer& layer, const Slot& slot, const Weight& weight) {
    if (weight.shape != slot.shape || (weight.storage == Storage::raw) == slot.tagged) {
        layer.fail("its " + slot.role + " must have the shape " + tuple_text(slot.shape) + ", found " +
                   tuple_text(weight.shape) + " stored as " + name_of(weight.storage));
    }
    if (!is_finite(weight)) layer.fail("its " + slot.role + " holds NaN or infinity");
    const bool is_operand = slot.role == "a" || slot.role == "b";
    const bool scaled_gemm = layer.type == "Gemm" && is_operand && has_flag(layer, "quantize_term");
    const bool scaled = slot.role == "weight" && has_flag(layer, "int8_scale_term");
    if (weight.storage == Storage::int8 && !scaled && !scaled_gemm) {
        layer.fail("its " + slot.role + " is int8 and its parameters announce no int8 scales");
    }
    if (scaled_gemm && weight.storage != Storage::int8) {
        layer.fail("announces int8 and its " + slot.role + " is stored as " + name_of(weight.storage));
    }
}

// As many as ncnn's tiles hold at least.
int64_t in_tiles(int64_t channels) { return multiply(channels / 16 + (channels % 16 != 0 ? 1 : 0), 16); }

// The second form of a convolution's weights: packed in tiles, or transformed to 8 x 8 for Winograd's algorithm, as
// ncnn does for 3 x 3 windows of stride and dilation 1 and more than 8 channels. Grouped ones are many small
// convolutions.
int64_t packed_elements(const Layer& layer, const Shape& weight) {
    const int64_t groups = int_param(layer, "group", 1);
    const int64_t out = weight[0] / groups, in = weight[1];
    const int64_t packed = elements_of(Shape{groups, in_tiles(out), in, weight[2], weight[3]});
    bool is_winograd = layer.type.compare(0, 11, "Convolution") == 0 && weight[2] == 3 && weight[3] == 3;
    for (const std::string name : {"dilation", "stride"}) {
        const int64_t width = int_param(layer, name + "_w", 1);
        is_winograd = is_winograd && width == 1 && int_param(layer, name + "_h", width) == 1;
    }
    if (!is_winograd || std::max(in, out) <= 8) return packed;
    return std::max(packed, elements_of(Shape{groups, in_tiles(out), in_tiles(in), 64}));
}

// Bytes that ncnn may hold for a layer: its numbers as float32, whatever their storage, and their second form.
int64_t loaded_bytes(const Layer& layer) {
    constexpr int64_t kPerGroup = 3072;  // a layer
    const Slots slots = weight_slots(layer);
    int64_t elements = 0, overhead = 0;
    for (const Slot& slot : slots) elements = add(elements, elements_of(slot.shape));
    int64_t packed = 0;
    if (!slots.empty() && slots[0].shape.size() == 4 && slots[0].role == "weight") {
        packed = add(elements, packed_elements(layer, slots[0].shape));
        const bool is_grouped = layer.type.find("DepthWise") != std::string::npos;
        if (is_grouped) overhead = multiply(int_param(layer, "group", 1), kPerGroup);
    } else {
        packed = multiply(elements, 2);
    }
    return add(multiply(packed, 4), overhead);
}

template <typename Items>
std::vector<std::string> roles_of(const Items& items) {
    std::vector<std::string> roles;
    roles.reserve(items.size());
    for (const auto& item : items) roles.push_back(item.role);
    return roles;
}

}  // namespace

void check_weights(const Graph& graph) {
    for (const Layer& layer : graph.layers) {
        const Slots slots = weight_slots(layer);
        if (roles_of(layer.weights) != roles_of(slots)) {
            layer.fail("needs the weights " + list_text(roles_of(slots)) + ", has " +
                       list_text(roles_of(layer.weights)));
        }
        for (size_t i = 0; i < slots.size(); ++i) check_weight(layer, slots[i], layer.weights[i]);
    }
}

void check_weight_memory(const Graph& graph, const Limits& limits) {
    int64_t total = 0;
    for (const Layer& layer : graph.layers) {
        total = add(total, loaded_bytes(layer));
        if (total > limits.weight_bytes) {
            layer.fail("up to here, the weights may need " + std::to_string(total) +
                       " bytes once loaded, allowed are " + std::to_string(limits.weight_bytes));
        }
    }
}

void check_element_types(const Graph& graph, const std::vector<std::string>& outputs) {
    std::unordered_map<std::string, const Layer*> int8_blobs;
    for (const Layer& layer : graph.layers) {
        const std::string* source = nullptr;
        for (const std::string& name : layer.inputs) {
            if (source == nullptr && int8_blobs.count(name) != 0) source = &name;
        }
        const bool is_split = layer.type == "Split";
        const bool takes_int8 = has_flag(layer, "int8_scale_term");
        if (source != nullptr && !is_split && !takes_int8) {
            layer.fail("reads " + quoted(*source) + ", which " + quoted(int8_blobs[*source]->name) + " makes as int8");
        }
        const bool is_convolution = layer.type.compare(0, 11, "Convolution") == 0;
        const bool makes_int8 = is_convolution && int_param(layer, "int8_scale_term", 0) > 100;
        if (!makes_int8 && (source == nullptr || !is_split)) continue;
        for (const std::string& name : layer.outputs) int8_blobs[name] = &layer;
    }
    std::vector<std::string> ends = graph.output_names();
    ends.insert(ends.end(), outputs.begin(), outputs.end());
    for (const std::string& name : ends) {
        const auto maker = int8_blobs.find(name);
        if (maker != int8_blobs.end()) maker->second->fail("the output " + quoted(name) + " would be int8");
    }
}

void check_no_int8(const Graph& graph) {
    for (const Layer& layer : graph.layers) {
        if (has_flag(layer, "quantize_term") || has_flag(layer, "int8_scale_term")) {
            layer.fail("is int8, and the manifest says that no weights are");
        }
    }
}

}  // namespace pocketdet::graph
