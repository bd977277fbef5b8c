// A graph of a few layers, with our layers or with ncnn's alone.
#pragma once

#include <string>
#include <vector>

#include <ncnn/net.h>

#include "check.h"
#include "own_layers.h"

namespace pocketdet {

constexpr float kFloats = 0.f;  // the mark of float32 before weights

inline std::vector<float> stored(std::vector<float> weights) {
    weights.insert(weights.begin(), kFloats);
    return weights;
}

class LayerNet {
public:
    // `stored` is what the file of weights holds.
    LayerNet(const std::string& param, Arithmetic arithmetic, bool own, std::vector<float> stored)
        : stored_(std::move(stored)) {
        net_.opt.num_threads = 1;
        set_arithmetic(net_.opt, arithmetic);
        const std::string text = own ? with_own_layers(net_, param, arithmetic) : param;
        CHECK(net_.load_param_mem(text.c_str()) == 0);
        net_.load_model(reinterpret_cast<const unsigned char*>(stored_.data()));
    }
    // Of the layer after the inputs, or of a later one.
    std::string type(size_t index = 1) const { return net_.layers()[index]->type; }
    ncnn::Mat run(const ncnn::Mat& input) const { return run({input}, "out0"); }
    ncnn::Mat run(const std::vector<ncnn::Mat>& inputs, const char* output) const {
        ncnn::Extractor extractor = net_.create_extractor();
        for (size_t i = 0; i < inputs.size(); ++i) {
            CHECK(extractor.input(("in" + std::to_string(i)).c_str(), inputs[i]) == 0);
        }
        ncnn::Mat out;
        CHECK(extractor.extract(output, out) == 0);
        return out;
    }

private:
    std::vector<float> stored_;  // outlives the net
    ncnn::Net net_;
};

}  // namespace pocketdet
