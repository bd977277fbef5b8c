#include "cost.h"

#include <algorithm>
#include <string_view>
#include <unordered_set>

#include "layer_params.h"
#include "matrix.h"
#include "numbers.h"
#include "weight_slots.h"
#include "window.h"

namespace pocketdet::graph {

namespace {

constexpr int64_t kPerElement = 16, kPerFunction = 64;
constexpr int64_t kPerProduct = 50'000;  // a call of ncnn's Gemm
constexpr int64_t kPerGroup = 500'000;   // making and running the layer of a group

bool is_any_of(const std::string& type, std::initializer_list<std::string_view> names) {
    return std::find(names.begin(), names.end(), type) != names.end();
}

bool is_convolution(const Layer& layer) {
    return is_any_of(layer.type, {"Convolution", "ConvolutionDepthWise", "DeformableConv2D"});
}

bool is_deconvolution(const Layer& layer) { return is_any_of(layer.type, {"Deconvolution", "DeconvolutionDepthWise"}); }

// Elements of a channel.
int64_t pixels_of(const Shape& shape) { return elements_of(Shape(shape.begin() + 1, shape.end())); }

int64_t total_of(const Shapes& shapes) {
    int64_t count = 0;
    for (const Shape& shape : shapes) count = add(count, elements_of(shape));
    return count;
}

int64_t macs_of(const Layer& layer, const Shapes& inputs, const Shapes& outputs) {
    if (is_convolution(layer) || is_deconvolution(layer) || layer.type == "InnerProduct") {
        const Slots slots = weight_slots(layer);
        if (slots.empty()) return 0;
        const Shape& weight = slots[0].shape;
        if (layer.type == "InnerProduct") return multiply(elements_of(inputs[0]), weight[0]);
        return multiply(pixels_of(is_deconvolution(layer) ? inputs[0] : outputs[0]), elements_of(weight));
    }
    if (layer.type == "Gemm") {
        const GemmSizes sizes = gemm_sizes(layer, inputs);
        return elements_of(Shape{sizes.m, sizes.n, sizes.k});
    }
    if (layer.type == "MatMul") return multiply(elements_of(outputs[0]), inputs[0].back());
    if (layer.type == "MultiHeadAttention") {
        const AttentionSizes sizes = attention_sizes(layer, inputs);
        const int64_t queries = multiply(sizes.queries, 2 * sizes.query_width);
        const int64_t keys = multiply(sizes.keys, sizes.key_width + sizes.value_width);
        const int64_t products = multiply(2 * sizes.queries, sizes.keys);
        return multiply(sizes.embed, add(add(queries, keys), products));
    }
    return 0;
}

int64_t parameters_of(const Layer& layer) {
    int64_t count = 0;
    for (const Slot& slot : weight_slots(layer)) {
        const bool is_int8_scale = slot.role.find("scale") != std::string::npos;
        if (!is_int8_scale || layer.type == "Scale" || layer.type == "Normalize") {
            count = add(count, elements_of(slot.shape));
        }
    }
    return count;
}

int64_t convolution_workspace(const Layer& layer, const Shape& input, const Shape& output) {
    const Shape weight = weight_slots(layer)[0].shape;
    if (input.size() != 3) return 0;
    const Window window = window_of(layer, weight);
    const int64_t padded = allocated_elements({input[0], window.padded(input[1], 0), window.padded(input[2], 1)});
    const int64_t columns = allocated_elements({weight[1], weight[2] * weight[3], output[1], output[2]});
    const int64_t group = layer.type == "ConvolutionDepthWise" ? input[0] / weight[1] : 1;
    const int64_t border = window.has_pads() ? padded : 0;
    if (group == 1) return add(border, columns);
    // kernels for single channels need nothing; other groups run one after the other, on unpacked channels
    const bool is_depthwise = group == input[0] && group == output[0];
    return is_depthwise ? border : add(add(padded, columns), allocated_elements(output));
}

// The output of a deconvolution before it is cut.
Shape full_output(const Layer& layer, const Shape& weight, const Shape& input) {
    const Window window = window_of(layer, weight);
    return {weight[0], transposed_size(layer, window, input[1], 0), transposed_size(layer, window, input[2], 1)};
}

int64_t deconvolution_workspace(const Layer& layer, const Shape& input) {
    const Shape weight = weight_slots(layer)[0].shape;
    const int64_t full = allocated_elements(full_output(layer, weight, input));
    return add(full, allocated_elements({weight[0], weight[2] * weight[3], input[1], input[2]}));
}

// ncnn's plain loops go through the rows of the window for every output, and through all of a row that an input meets.
int64_t deconvolution_steps(const Layer& layer, const Shape& input) {
    const Shape weight = weight_slots(layer)[0].shape;
    const int64_t met = ceil_divide(weight[2], window_of(layer, weight).stride[0]);
    const int64_t steps = multiply(weight[1], add(weight[2], multiply(met, weight[3])));
    return multiply(elements_of(full_output(layer, weight, input)), steps);
}

// The products that MatMul makes one after the other.
int64_t batches_of(const Shapes& inputs, const Shape& output) {
    const std::ptrdiff_t axes = (inputs[0].size() > 1 ? 1 : 0) + (inputs[1].size() > 1 ? 1 : 0);
    return elements_of(Shape(output.begin(), output.end() - axes));
}

// Copies with all batches along one axis.
int64_t matmul_workspace(const Shapes& inputs, const Shape& output) {
    const int64_t batches = batches_of(inputs, output);
    int64_t count = allocated_elements({batches, 1, elements_of(output) / batches});
    for (const Shape& input : inputs) {
        const std::ptrdiff_t axes = input.size() > 2 ? 2 : static_cast<std::ptrdiff_t>(input.size());
        const int64_t channels = elements_of(Shape(input.begin(), input.end() - axes));
        count = add(count, allocated_elements({channels, 1, elements_of(input) / channels}));
    }
    return count;
}

// Squares and their sums, or squares with and without borders, and the offsets of a window.
int64_t lrn_workspace(const Layer& layer, const Shape& input) {
    const int64_t squares = allocated_elements(input), size = int_param(layer, "local_size", 5);
    if (int_param(layer, "region_type", 0) == 0) return multiply(squares, 2);
    const int64_t bordered = allocated_elements({input[0], input[1] + size - 1, input[2] + size - 1});
    return add(add(squares, bordered), multiply(size, size));
}

int64_t attention_workspace(const Layer& layer, const Shapes& inputs) {
    const AttentionSizes sizes = attention_sizes(layer, inputs);
    const int64_t projected = multiply(sizes.embed, 2 * (sizes.queries + sizes.keys));
    return add(projected, elements_of(Shape{int_param(layer, "num_heads", 1), sizes.queries, sizes.keys}));
}

int64_t pooling_workspace(const Layer& layer, const Shape& input, const Shape& output) {
    if (has_flag(layer, "global_pooling") || has_flag(layer, "adaptive_pooling")) return 0;
    const int64_t left = int_param(layer, "pad_left", 0), top = int_param(layer, "pad_top", left);
    const int64_t height = input[1] + top + int_param(layer, "pad_bottom", top),
                  width = input[2] + left + int_param(layer, "pad_right", left);
    const int64_t kernel_w = int_param(layer, "kernel_w", 0), kernel_h = int_param(layer, "kernel_h", kernel_w);
    const int64_t stride_w = int_param(layer, "stride_w", 1), stride_h = int_param(layer, "stride_h", stride_w);
    // the last windows may reach further
    return allocated_elements({input[0], std::max(height, (output[1] - 1) * stride_h + kernel_h),
                               std::max(width, (output[2] - 1) * stride_w + kernel_w)});
}

// Work of layers that read an element more often than once.
int64_t repeated_work(const Layer& layer, const Shapes& inputs, const Shapes& outputs) {
    if (layer.type == "Pooling" && !has_flag(layer, "global_pooling") && !has_flag(layer, "adaptive_pooling")) {
        const int64_t kernel_w = int_param(layer, "kernel_w", 0), kernel_h = int_param(layer, "kernel_h", kernel_w);
        return multiply(elements_of(outputs[0]), kernel_h * kernel_w);
    }
    if (layer.type == "LRN") {
        const int64_t size = int_param(layer, "local_size", 5);
        return multiply(elements_of(inputs[0]), int_param(layer, "region_type", 0) == 1 ? size * size : size);
    }
    if (layer.type == "MatMul") return multiply(batches_of(inputs, outputs[0]), kPerProduct);
    if (layer.type == "MultiHeadAttention") {
        const int64_t products = multiply(int_param(layer, "num_heads", 1), 2 * kPerProduct);
        return add(products, multiply(workspace_of(layer, inputs, outputs), kPerFunction));
    }
    if (is_convolution(layer) || is_deconvolution(layer)) {
        const int64_t steps = is_deconvolution(layer) ? deconvolution_steps(layer, inputs[0]) : 0;
        const bool is_grouped = is_any_of(layer.type, {"ConvolutionDepthWise", "DeconvolutionDepthWise"});
        return add(steps, is_grouped ? multiply(int_param(layer, "group", 1), kPerGroup) : 0);
    }
    static const std::unordered_set<std::string_view> functions{
        "BNLL",  "BinaryOp", "CELU",    "ELU",     "Erf",      "Exp",   "GELU", "Log",     "Mish",
        "Power", "SELU",     "Sigmoid", "Softmax", "Softplus", "Swish", "TanH", "UnaryOp",
    };
    return functions.count(layer.type) != 0 ? multiply(total_of(outputs), kPerFunction) : 0;
}

// The shapes of blobs; nothing where one is not known.
std::optional<Shapes> shapes_of(const std::vector<std::string>& blobs, const BlobShapes& shapes) {
    Shapes found;
    for (const std::string& blob : blobs) {
        const Shape* shape = shapes.find(blob);
        if (shape == nullptr) return std::nullopt;
        found.push_back(*shape);
    }
    return found;
}

}  // namespace

std::vector<LayerCost> count_costs(const Graph& graph, const BlobShapes& shapes) {
    std::vector<LayerCost> costs;
    for (const Layer& layer : graph.layers) {
        LayerCost cost;
        const auto inputs = shapes_of(layer.inputs, shapes), outputs = shapes_of(layer.outputs, shapes);
        if (inputs && outputs) cost.macs = inputs->empty() || outputs->empty() ? 0 : macs_of(layer, *inputs, *outputs);
        if (has_known_weights(layer.type)) cost.parameters = parameters_of(layer);
        costs.push_back(cost);
    }
    return costs;
}

int64_t allocated_elements(const Shape& shape) {
    if (shape.size() < 3) return elements_of(shape);
    return multiply(shape[0], multiply(ceil_divide(pixels_of(shape), 4), 4));
}

int64_t workspace_of(const Layer& layer, const Shapes& inputs, const Shapes& outputs) {
    if (is_convolution(layer)) return convolution_workspace(layer, inputs[0], outputs[0]);
    if (is_deconvolution(layer)) return deconvolution_workspace(layer, inputs[0]);
    if (layer.type == "Gemm") {
        const GemmSizes sizes = gemm_sizes(layer, inputs);
        return add(multiply(sizes.m, sizes.k), add(multiply(sizes.k, sizes.n), multiply(sizes.m, sizes.n)));
    }
    if (layer.type == "MatMul") return matmul_workspace(inputs, outputs[0]);
    if (layer.type == "LRN") return lrn_workspace(layer, inputs[0]);
    if (layer.type == "MultiHeadAttention") return attention_workspace(layer, inputs);
    if (layer.type == "Pooling") return pooling_workspace(layer, inputs[0], outputs[0]);
    return 0;
}

void check_work(const Graph& graph, const BlobShapes& shapes, const std::vector<LayerCost>& costs,
                const Limits& limits) {
    int64_t total = 0;
    for (size_t i = 0; i < graph.layers.size(); ++i) {
        const Layer& layer = graph.layers[i];
        const Shapes inputs = *shapes_of(layer.inputs, shapes), outputs = *shapes_of(layer.outputs, shapes);
        // outputs of a Split are its input
        const int64_t moved = layer.type == "Split" ? 0 : add(total_of(inputs), total_of(outputs));
        const int64_t touched = multiply(add(moved, workspace_of(layer, inputs, outputs)), kPerElement);
        total = add(total, add(*costs[i].macs, add(touched, repeated_work(layer, inputs, outputs))));
        if (total > limits.macs) {
            layer.fail("up to here, " + std::to_string(total) + " multiply-accumulates are more than the " +
                       std::to_string(limits.macs) + " allowed");
        }
    }
}

}  // namespace pocketdet::graph
