// One deformable convolution as a net of ncnn, with its kernel or with ours, for tests and measurements.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <ncnn/net.h>

#include "check.h"
#include "deformable_conv.h"
#include "drawn.h"

namespace pocketdet {

struct Shape {
    int channels, height, width, outputs, kernel_h, kernel_w, stride, dilation;
    bool has_bias = true;

    int taps() const { return kernel_h * kernel_w; }
    int pad(int kernel) const { return dilation * (kernel - 1) / 2; }
    int places(int side, int kernel) const {
        return (side + 2 * pad(kernel) - dilation * (kernel - 1) - 1) / stride + 1;
    }
    std::string param() const {
        const auto field = [](int id, int value) { return " " + std::to_string(id) + "=" + std::to_string(value); };
        return "7767517\n3 3\nInput input 0 1 in0\nInput offsets 0 1 in1\nDeformableConv2D d 2 1 in0 in1 out0" +
               field(0, outputs) + field(1, kernel_w) + field(11, kernel_h) + field(2, dilation) + field(3, stride) +
               field(4, pad(kernel_w)) + field(14, pad(kernel_h)) + field(5, has_bias ? 1 : 0) +
               field(6, outputs * channels * taps()) + "\n";
    }
};

class DeformableNet {
public:
    DeformableNet(const Shape& shape, bool own, unsigned seed = 1) : weights_(1) {
        net_.opt.num_threads = 1;
        net_.opt.use_fp16_packed = net_.opt.use_fp16_storage = net_.opt.use_fp16_arithmetic = false;
        net_.opt.use_bf16_packed = net_.opt.use_bf16_storage = false;
        const std::string param = own ? with_types(net_, shape.param(), {own_deformable_convolution()}) : shape.param();
        CHECK(net_.load_param_mem(param.c_str()) == 0);
        Drawn drawn(seed);
        const int count = shape.outputs * shape.channels * shape.taps() + (shape.has_bias ? shape.outputs : 0);
        for (int i = 0; i < count; ++i) weights_.push_back(drawn.next());  // after the mark of float32, 0
        net_.load_model(reinterpret_cast<const unsigned char*>(weights_.data()));
    }

    // An empty Mat if the net fails.
    ncnn::Mat run(const ncnn::Mat& input, const ncnn::Mat& offsets) const {
        ncnn::Extractor extractor = net_.create_extractor();
        ncnn::Mat out;
        CHECK(extractor.input("in0", input) == 0 && extractor.input("in1", offsets) == 0);
        return extractor.extract("out0", out) == 0 ? out : ncnn::Mat();
    }

    std::string type() const { return net_.layers()[2]->type; }

private:
    std::vector<float> weights_;  // outlives the net
    ncnn::Net net_;
};

}  // namespace pocketdet
