// Layers in int8 on maps in half precision: each rounds its input to int8 and writes halves.
#include <cstring>

#include "byte_kernels.h"
#include "packed_convolution.h"
#include "packed_fully_connected.h"
#include "packed_layers.h"

namespace pocketdet {

namespace {

constexpr float kMostHalf = 65504;

// A scale of inputs as the kernel has it. The sums are divided by it, so that its rounding adds no error.
float half_scale(float scale) { return static_cast<float>(static_cast<__fp16>(std::min(scale, kMostHalf))); }

float inverse(float scale) { return scale == 0.f ? 0.f : 1.f / scale; }

// (outputs, inputs) -> (groups of 8 outputs, blocks of 8 inputs, 2, 8 outputs, 4 inputs); what is missing is zero.
template <class At>
std::vector<int8_t> in_dot_order(int outputs, int inputs, At at) {
    std::vector<int8_t> ordered;
    for (int group = 0; group < outputs; group += kByteBlock) {
        for (int i = 0; i < inputs; i += kByteBlock) {
            for (int k = 0; k < kByteBlock * kByteBlock; ++k) {
                const int output = group + k / 4 % kByteBlock, input = i + k / (4 * kByteBlock) * 4 + k % 4;
                ordered.push_back(output < outputs && input < inputs ? at(output, input) : static_cast<int8_t>(0));
            }
        }
    }
    return ordered;
}

int filled(int count) { return (count + kByteBlock - 1) / kByteBlock * kByteBlock; }

bool is_byte_pointwise(const LayerLine& line) {
    const Geometry g(line);
    const bool fills_groups = g.outputs % kByteBlock == 0;
    return is_plain(line, 1) && g.int8_scales != 0 && (is_rectified(g) || fills_groups) && g.stride == 1 &&
           line.get(7, 1) == 1 && g.outputs >= kByteBlock && g.weights > 0 && g.weights % (g.outputs * kByteBlock) == 0;
}

class BytePointwise : public PackedConvolution {
public:
    using PackedConvolution::PackedConvolution;

    int forward(const ncnn::Mat& map, ncnn::Mat& out, const ncnn::Option& option) const override {
        const bool is_int8 = map.elempack == kByteBlock && map.elemsize == kByteBlock;
        if (map.dims != 3 || map.c != blocks() || !(is_int8 || is_packed(map))) return -1;
        ncnn::Mat groups(map.w, map.h, filled(geometry_.outputs) / kByteBlock, pixel_size(), kByteBlock,
                         fills_groups() ? option.blob_allocator : option.workspace_allocator);
        ncnn::Mat bytes = map;
        if (!is_int8)
            bytes = ncnn::Mat(map.w, map.h, map.c, size_t{kByteBlock}, kByteBlock, option.workspace_allocator);
        if (groups.empty() || bytes.empty()) return -100;
        if (!is_int8) {
            for (int c = 0; c < map.c; ++c) {
                kByteKernels.quantize(map.channel(c).data, static_cast<size_t>(map.w * map.h * kByteBlock),
                                      input_scale_, bytes.channel(c).row<int8_t>(0));
            }
        }
        const auto stride = [](const ncnn::Mat& mat) { return static_cast<std::ptrdiff_t>(mat.cstep) * kByteBlock; };
        kByteKernels.product({bytes.row<const int8_t>(0), stride(bytes), kByteBlock, blocks(), map.w * map.h,
                              bytes_.data(), scales_.data(), offsets_.data(), groups.data, stride(groups), kByteBlock,
                              groups.c, geometry_.activation == Activation::Kind::relu});
        if (!is_rectified(geometry_)) {
            for (int c = 0; c < groups.c; ++c) {
                kernels_.activate(activation_, groups.channel(c).data, static_cast<size_t>(map.w * map.h * kByteBlock));
            }
        }
        if (fills_groups()) {
            out = groups;
            return 0;
        }
        out.create(map.w, map.h, geometry_.outputs, kernels_.element_size, option.blob_allocator);
        if (out.empty()) return -100;
        to_planes(groups, out);
        return 0;
    }

private:
    int inputs() const { return geometry_.weights / geometry_.outputs; }
    int blocks() const { return inputs() / kByteBlock; }
    bool fills_groups() const { return geometry_.outputs % kByteBlock == 0; }

    static void to_planes(const ncnn::Mat& groups, ncnn::Mat& planes) {
        for (int c = 0; c < planes.c; ++c) {
            const auto* from = groups.channel(c / kByteBlock).row<const uint16_t>(0) + c % kByteBlock;
            auto* const to = planes.channel(c).row<uint16_t>(0);
            for (int i = 0; i < planes.w * planes.h; ++i) to[i] = from[kByteBlock * i];
        }
    }

    int keep_int8(const ncnn::Mat& weights, const float* bias, const float* scales, float input_scale) override {
        input_scale_ = half_scale(input_scale);
        offsets_.assign(bias, bias + geometry_.outputs);
        for (int o = 0; o < geometry_.outputs; ++o) scales_.push_back(inverse(scales[o] * input_scale_));
        offsets_.resize(static_cast<size_t>(filled(geometry_.outputs)));
        scales_.resize(offsets_.size());
        bytes_ = in_dot_order(geometry_.outputs, inputs(),
                              [&](int o, int i) { return int8_at(weights, o * inputs() + i, scales[o]); });
        return 0;
    }

    std::vector<float> in_order(const float* /*weights*/) const override { return {}; }

    std::vector<int8_t> bytes_;
    std::vector<float> scales_, offsets_;
    float input_scale_ = 0;
};

// Constant weights in int8 times rows, plus a constant for each column. The rows have one scale, by their largest
// element.
bool is_byte_fully_connected(const LayerLine& line) {
    return line.has_only({10, 2, 3, 4, 5, 6, 7, 8, 9, 14, 18}) && line.get(10, 0) == 1 && line.get(2, 0) == 0 &&
           line.get(3, 0) == 1 && line.get(4, 0) == 1 && line.get(5, 0) == 0 && line.get(6, 0) == 1 &&
           line.get(7, 0) > 0 && line.get(8, 0) == 0 && line.get(9, 0) > 0 && line.get(14, 0) == 1 &&
           line.get(18, 0) == 2;
}

class ByteFullyConnected : public PackedFullyConnected {
public:
    explicit ByteFullyConnected(const Kernels& kernels) : PackedFullyConnected(kernels, 7) {}

    int load_model(const ncnn::ModelBin& model) override {
        const ncnn::Mat weights = model.load(inputs_, outputs_, 0), bias = model.load(outputs_, 0),
                        scales = model.load(outputs_, 1);
        if (weights.empty() || bias.empty() || scales.empty() || weights.elemsize != 1) return -100;
        bytes_ = in_dot_order(outputs_, inputs_, [&](int o, int i) { return weights.row<int8_t>(o)[i]; });
        scales_.resize(static_cast<size_t>(filled_up(outputs_)));
        bias_.resize(scales_.size());
        for (int o = 0; o < outputs_; ++o) {
            scales_[static_cast<size_t>(o)] = inverse(scales[static_cast<size_t>(o)]);
            bias_[static_cast<size_t>(o)] = bias[static_cast<size_t>(o)];
        }
        return 0;
    }

private:
    int multiply(const ncnn::Mat& rows, const ncnn::Mat& to, const ncnn::Option& option) const override {
        ncnn::Mat bytes(filled_up(inputs_), rows.h, size_t{1}, option.workspace_allocator);
        if (bytes.empty()) return -100;
        const float scale = quantize(rows, bytes);
        std::vector<float> scales = scales_;
        for (float& one : scales) one /= scale;
        kByteKernels.product({bytes.row<const int8_t>(0), kByteBlock, bytes.w, bytes.w / kByteBlock, bytes.h,
                              bytes_.data(), scales.data(), bias_.data(), to.data, kByteBlock, to.w, to.w / kByteBlock,
                              relu_});
        return 0;
    }

    // The scale that the rows were multiplied by; elements after their ends are zero.
    float quantize(const ncnn::Mat& rows, ncnn::Mat& bytes) const {
        const float largest = kByteKernels.largest(rows.data, static_cast<size_t>(rows.w * rows.h));
        const float scale = half_scale(largest == 0.f ? 1.f : 127.f / largest);
        for (int y = 0; y < rows.h; ++y) {
            auto* const row = bytes.row<int8_t>(y);
            kByteKernels.quantize(rows.row<const void>(y), static_cast<size_t>(rows.w), scale, row);
            std::memset(row + rows.w, 0, static_cast<size_t>(bytes.w - rows.w));
        }
        return scale;
    }

    std::vector<int8_t> bytes_;
    std::vector<float> scales_, bias_;
};

}  // namespace

void add_byte_layers(const Kernels& kernels, std::vector<OwnLayer>& layers) {
    layers.push_back(packed_layer<BytePointwise>("Convolution", "PocketdetBytePointwise", is_byte_pointwise, kernels));
    layers.push_back(packed_layer<ByteFullyConnected>("Gemm", kByteFullyConnected, is_byte_fully_connected, kernels));
}

}  // namespace pocketdet
