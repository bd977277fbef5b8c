// The parameters of convolutions on packed maps, and the base class of our layers.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include <ncnn/modelbin.h>
#include <ncnn/paramdict.h>

#include "packed_layer.h"

namespace pocketdet {

constexpr int kNoMatrixProduct = 32;  // ncnn's feature mask of a first convolution on x86

struct Padding {
    int left, top, right, bottom;
};

// The parameters of Convolution and ConvolutionDepthWise for a square kernel and stride.
struct Geometry {
    template <class Params>  // a LayerLine or an ncnn::ParamDict
    explicit Geometry(const Params& params)
        : outputs(params.get(0, 0)),
          kernel(params.get(1, 0)),
          stride(params.get(3, 1)),
          padding{params.get(4, 0), params.get(14, params.get(4, 0)), params.get(15, params.get(4, 0)),
                  params.get(16, params.get(14, params.get(4, 0)))},
          has_bias(params.get(5, 0) != 0),
          weights(params.get(6, 0)),
          int8_scales(params.get(8, 0)),
          activation(static_cast<Activation::Kind>(params.get(9, 0))) {}

    int width(const ncnn::Mat& map) const { return places(padding.left + map.w + padding.right); }
    int height(const ncnn::Mat& map) const { return places(padding.top + map.h + padding.bottom); }
    int places(int side) const { return side < kernel ? 0 : (side - kernel) / stride + 1; }

    int outputs, kernel, stride;
    Padding padding;
    bool has_bias;
    int weights;
    int int8_scales;  // not 0 for a layer in int8
    Activation::Kind activation;
};

inline bool is_rectified(const Geometry& geometry) {
    return geometry.activation == Activation::Kind::none || geometry.activation == Activation::Kind::relu;
}

// Whether the kernels have the activation of a convolution.
inline bool is_activation(const LayerLine& line) {
    const std::vector<float> numbers = line.numbers(-23310);
    const Activation::Kind kind = Geometry(line).activation;
    if (kind == Activation::Kind::leaky_relu) return numbers.size() == 1 && is_slope(numbers[0]);
    if (kind == Activation::Kind::hard_swish) return numbers.size() == 2;
    return numbers.empty() && (is_rectified(Geometry(line)) || kind == Activation::Kind::sigmoid);
}

// A square kernel of `size`, without dilation, with no parameter but those of Geometry and the group. A layer in int8
// has an output that is not.
inline bool is_plain(const LayerLine& line, int size) {
    const Geometry g(line);
    const auto& [left, top, right, bottom] = g.padding;
    return line.has_only({0, 1, 11, 2, 12, 3, 13, 4, 14, 15, 16, 5, 6, 7, 8, 9, -23310, 31}) && g.kernel == size &&
           (line.get(31, 0) == 0 || line.get(31, 0) == kNoMatrixProduct) && is_activation(line) && g.int8_scales >= 0 &&
           g.int8_scales <= 2 && line.get(11, size) == size && line.get(2, 1) == 1 && line.get(12, 1) == 1 &&
           line.get(13, g.stride) == g.stride && std::min({left, top, right, bottom}) >= 0 &&
           std::max({left, top, right, bottom}) < size;
}

class PackedConvolution : public PackedLayer {
public:
    using PackedLayer::PackedLayer;

    int load_param(const ncnn::ParamDict& params) override {
        geometry_ = Geometry(params);
        const ncnn::Mat numbers = params.get(10, ncnn::Mat());
        activation_ = {geometry_.activation, numbers.w > 0 ? numbers[0] : 0, numbers.w > 1 ? numbers[1] : 0};
        return 0;
    }

    int load_model(const ncnn::ModelBin& model) override {
        const ncnn::Mat weights = model.load(geometry_.weights, 0);
        const ncnn::Mat bias = geometry_.has_bias ? model.load(geometry_.outputs, 1) : zeros(geometry_.outputs);
        if (weights.empty() || bias.empty()) return -100;
        if (geometry_.int8_scales == 0) return weights.elemsize == sizeof(float) ? keep(weights, bias) : -100;
        const ncnn::Mat scales = model.load(geometry_.outputs, 1), input_scale = model.load(1, 1);
        if (scales.empty() || input_scale.empty()) return -100;
        return keep_int8(weights, bias, scales, input_scale[0]);
    }

protected:
    virtual std::vector<float> in_order(const float* weights) const = 0;

    int keep(const float* weights, const float* bias) {
        std::vector<float> filled(bias, bias + geometry_.outputs);
        filled.resize(static_cast<size_t>(filled_up(geometry_.outputs)));
        bias_ = elements_of(filled);
        weights_ = elements_of(in_order(weights));
        return weights_.empty() || bias_.empty() ? -100 : 0;
    }

    // Of a layer in int8: `weights` are int8, or floats that are not rounded yet. Here the layer computes with what
    // they stand for, and does not round its input.
    virtual int keep_int8(const ncnn::Mat& weights, const float* bias, const float* scales, float /*input_scale*/) {
        std::vector<float> values(static_cast<size_t>(geometry_.weights));
        for (int i = 0; i < geometry_.weights; ++i) {
            const float scale = scales[i / (geometry_.weights / geometry_.outputs)];
            values[static_cast<size_t>(i)] =
                scale == 0.f ? 0.f : static_cast<float>(int8_at(weights, i, scale)) / scale;
        }
        return keep(values.data(), bias);
    }

    // Of vectors, or of half vectors if `pack` is half of their elements. `out` is empty if it would be, or if there is
    // no memory.
    void create_output(const ncnn::Mat& map, ncnn::Mat& out, int pack, const ncnn::Option& option) const {
        out.create(geometry_.width(map), geometry_.height(map), geometry_.outputs / pack,
                   static_cast<size_t>(pack) * kernels_.element_size, pack, option.blob_allocator);
    }

    static int8_t int8_at(const ncnn::Mat& weights, int i, float scale) {
        if (weights.elemsize == 1) return static_cast<const int8_t*>(weights.data)[i];
        return static_cast<int8_t>(std::clamp(std::round(weights[static_cast<size_t>(i)] * scale), -127.f, 127.f));
    }

    static ncnn::Mat zeros(int count) {
        ncnn::Mat mat(count);
        if (!mat.empty()) mat.fill(0.f);
        return mat;
    }

    Geometry geometry_{ncnn::ParamDict()};
    Activation activation_;
    ncnn::Mat weights_, bias_;
};

}  // namespace pocketdet
