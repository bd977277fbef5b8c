// Deformable convolution for processors for which ncnn has none but its plain loop (all but x86), where each
// output channel samples the input again: here it is sampled once, and the rest is a matrix product of ncnn.
#pragma once

#include <memory>
#include <vector>

#include <ncnn/layer.h>

#include "own_layers.h"

namespace pocketdet {

// The parameters, weights and answers of ncnn's DeformableConv2D (version 1, one group), without mask and without
// activation, in float32 whatever the net computes in. Layers keep their name; offsets are in cells of the input map.
class DeformableConvolution : public ncnn::Layer {
public:
    DeformableConvolution();
    ~DeformableConvolution() override;

    int load_param(const ncnn::ParamDict& params) override;
    int load_model(const ncnn::ModelBin& model) override;
    int create_pipeline(const ncnn::Option& option) override;
    int destroy_pipeline(const ncnn::Option& option) override;
    int forward(const std::vector<ncnn::Mat>& inputs, std::vector<ncnn::Mat>& outputs,
                const ncnn::Option& option) const override;

private:
    struct Axis {
        int kernel, dilation, stride, before, after;
        int places(int side) const { return (side + before + after - dilation * (kernel - 1) - 1) / stride + 1; }
    };
    struct InputMap;

    // Taps of the output places `first` to `first + columns.h`, a row for each: tap by tap, channels innermost.
    void sample(const InputMap& input, const ncnn::Mat& offset, int first, ncnn::Mat& columns) const;
    int taps() const { return rows_.kernel * columns_.kernel; }

    Axis rows_{}, columns_{};
    int outputs_ = 0, weight_count_ = 0;
    bool has_bias_ = false;
    ncnn::Mat weights_, bias_;
    std::unique_ptr<ncnn::Layer> product_;
};

// Whether DeformableConvolution is faster than what ncnn has for the processors this is compiled for.
constexpr bool kNcnnSamplesSlowly =
#if defined(__x86_64__) || defined(__i386__)
    false;
#else
    true;
#endif

// DeformableConvolution in the place of DeformableConv2D, where it computes the same.
OwnLayer own_deformable_convolution();

}  // namespace pocketdet
