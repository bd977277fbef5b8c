#include "deformable_conv.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include <ncnn/layer_type.h>
#include <ncnn/modelbin.h>
#include <ncnn/paramdict.h>

namespace pocketdet {

namespace {

constexpr int kTile = 64;  // output places at a time: 0.6 MB of columns for 9 taps of 256 channels

// The weights are halves or single in the file; sums of thousands of products and places are not halved.
ncnn::Option in_float32(const ncnn::Option& option) {
    ncnn::Option single = option;
    single.use_fp16_packed = single.use_fp16_storage = single.use_fp16_arithmetic = false;
    single.use_bf16_packed = single.use_bf16_storage = false;
    return single;
}

// (outputs, channels, taps) -> (outputs, taps, channels), as the columns lie.
ncnn::Mat taps_first(const ncnn::Mat& weights, int outputs, int taps) {
    const int channels = weights.w / outputs / taps;
    ncnn::Mat result(taps * channels, outputs);
    if (result.empty()) return result;
    const float* from = weights;
    for (int o = 0; o < outputs; ++o) {
        float* row = result.row(o);
        for (int c = 0; c < channels; ++c) {
            for (int t = 0; t < taps; ++t) row[t * channels + c] = *from++;
        }
    }
    return result;
}

}  // namespace

// Cell by cell, channels innermost; beyond it everything is zero.
struct DeformableConvolution::InputMap {
    ncnn::Mat cells;
    std::vector<float> nothing;
    int height, width;

    InputMap(const ncnn::Mat& maps, const ncnn::Option& option)
        : cells(maps.c, maps.h * maps.w, sizeof(float), option.workspace_allocator),
          nothing(static_cast<size_t>(maps.c)),
          height(maps.h),
          width(maps.w) {
        if (cells.empty()) return;
        for (int c = 0; c < maps.c; ++c) {
            const float* from = maps.channel(c);
            float* to = static_cast<float*>(cells.data) + c;
            for (int i = 0; i < height * width; ++i, to += maps.c) *to = from[i];
        }
    }

    const float* at(int y, int x) const {
        return y >= 0 && y < height && x >= 0 && x < width ? cells.row(y * width + x) : nothing.data();
    }

    // Bilinear at row y and column x; nothing at places that are not a number.
    void read(float y, float x, float* to) const {
        const int channels = cells.w;
        if (!(y > -1.f && y < static_cast<float>(height) && x > -1.f && x < static_cast<float>(width))) {
            std::fill(to, to + channels, 0.f);
            return;
        }
        const int top = static_cast<int>(std::floor(y)), left = static_cast<int>(std::floor(x));
        const float down = y - static_cast<float>(top), right = x - static_cast<float>(left);
        const float *a = at(top, left), *b = at(top, left + 1), *p = at(top + 1, left), *q = at(top + 1, left + 1);
        const float wa = (1.f - down) * (1.f - right), wb = (1.f - down) * right;
        const float wp = down * (1.f - right), wq = down * right;
        for (int c = 0; c < channels; ++c) to[c] = wa * a[c] + wb * b[c] + wp * p[c] + wq * q[c];
    }
};

DeformableConvolution::DeformableConvolution() { one_blob_only = false; }

DeformableConvolution::~DeformableConvolution() = default;

int DeformableConvolution::load_param(const ncnn::ParamDict& params) {
    const auto axis = [&](int kernel, int dilation, int stride, int before, int after, const Axis& other) {
        const int start = params.get(before, other.before);
        return Axis{params.get(kernel, other.kernel), params.get(dilation, other.dilation),
                    params.get(stride, other.stride), start, params.get(after, start)};
    };
    columns_ = axis(1, 2, 3, 4, 15, {0, 1, 1, 0, 0});
    rows_ = axis(11, 12, 13, 14, 16, columns_);
    outputs_ = params.get(0, 0);
    has_bias_ = params.get(5, 0) != 0;
    weight_count_ = params.get(6, 0);
    for (const Axis& a : {rows_, columns_}) {
        if (a.kernel < 1 || a.kernel > 64 || a.dilation < 1 || a.stride < 1) return -1;
    }
    const bool fits =
        outputs_ > 0 && weight_count_ > 0 && weight_count_ % outputs_ == 0 && weight_count_ / outputs_ % taps() == 0;
    return fits ? 0 : -1;
}

int DeformableConvolution::load_model(const ncnn::ModelBin& model) {
    weights_ = model.load(weight_count_, 0);
    if (weights_.empty() || weights_.elemsize != sizeof(float)) return -100;
    if (!has_bias_) return 0;
    bias_ = model.load(outputs_, 1);
    return bias_.empty() ? -100 : 0;
}

int DeformableConvolution::create_pipeline(const ncnn::Option& option) {
    product_.reset(ncnn::create_layer_cpu(ncnn::LayerType::Gemm));
    if (!product_) return -1;
    ncnn::ParamDict params;
    params.set(3, 1);  // the columns are read transposed
    params.set(4, 1);  // weights and bias are constant
    params.set(6, 1);
    params.set(7, outputs_);
    params.set(9, weight_count_ / outputs_);
    params.set(10, has_bias_ ? 1 : -1);
    params.set(12, 1);  // rows of single numbers
    const ncnn::Mat constants[] = {taps_first(weights_, outputs_, taps()), bias_};
    if (constants[0].empty()) return -100;
    weights_.release();
    if (product_->load_param(params) != 0) return -1;
    if (product_->load_model(ncnn::ModelBinFromMatArray(constants)) != 0) return -100;
    return product_->create_pipeline(in_float32(option));
}

int DeformableConvolution::destroy_pipeline(const ncnn::Option& option) {
    return product_ ? product_->destroy_pipeline(in_float32(option)) : 0;
}

void DeformableConvolution::sample(const InputMap& input, const ncnn::Mat& offset, int first,
                                   ncnn::Mat& columns) const {
    for (int i = 0; i < columns.h; ++i) {
        const int place = first + i, y = place / offset.w, x = place % offset.w;
        const int top = y * rows_.stride - rows_.before, left = x * columns_.stride - columns_.before;
        float* to = columns.row(i);
        for (int tap = 0; tap < taps(); ++tap, to += input.cells.w) {
            const int row = top + tap / columns_.kernel * rows_.dilation;
            const int column = left + tap % columns_.kernel * columns_.dilation;
            const float dy = offset.channel(2 * tap).row(y)[x], dx = offset.channel(2 * tap + 1).row(y)[x];
            input.read(static_cast<float>(row) + dy, static_cast<float>(column) + dx, to);
        }
    }
}

int DeformableConvolution::forward(const std::vector<ncnn::Mat>& inputs, std::vector<ncnn::Mat>& outputs,
                                   const ncnn::Option& option) const {
    const ncnn::Mat &maps = inputs[0], &offset = inputs[1];
    const int height = rows_.places(maps.h), width = columns_.places(maps.w), depth = taps() * maps.c;
    if (offset.w != width || offset.h != height || offset.c != 2 * taps()) return -1;
    if (depth != weight_count_ / outputs_) return -1;
    outputs[0].create(width, height, outputs_, sizeof(float), option.blob_allocator);
    const InputMap input(maps, option);
    ncnn::Mat tile(depth, kTile, sizeof(float), option.workspace_allocator);
    if (outputs[0].empty() || input.cells.empty() || tile.empty()) return -100;
    const ncnn::Option single = in_float32(option);
    for (int first = 0; first < width * height; first += kTile) {
        ncnn::Mat columns(depth, std::min(kTile, width * height - first), tile.data);
        sample(input, offset, first, columns);
        std::vector<ncnn::Mat> sums(1);
        const int status = product_->forward({columns}, sums, single);
        if (status != 0) return status;
        for (int o = 0; o < outputs_; ++o) {
            float* to = outputs[0].channel(o);
            std::memcpy(to + first, sums[0].row(o), static_cast<size_t>(columns.h) * sizeof(float));
        }
    }
    return 0;
}

OwnLayer own_deformable_convolution() {
    const auto computes = [](const LayerLine& line) { return line.inputs.size() == 2 && line.params.count(9) == 0; };
    const auto create = [](void*) -> ncnn::Layer* { return new DeformableConvolution; };
    return {"DeformableConv2D", "PocketdetDeformableConv2D", computes, create, nullptr};
}

}  // namespace pocketdet
