// Activations that are layers of their own.
#include <ncnn/layer_type.h>
#include <ncnn/paramdict.h>

#include "packed_layer.h"
#include "packed_layers.h"

namespace pocketdet {

namespace {

using Kind = Activation::Kind;

// Of maps in any packing.
template <Kind kind, int ncnn_type>
class Activated : public PackedOrNcnns {
public:
    explicit Activated(const Kernels& kernels) : PackedOrNcnns(kernels, ncnn_type) {
        support_inplace = true;
        support_any_packing = true;
    }

    int load_param(const ncnn::ParamDict& params) override {
        activation_ = {kind, params.get(0, 0.2f), params.get(1, 0.5f)};  // the defaults are those of HardSwish
        return PackedOrNcnns::load_param(params);
    }

    int forward_inplace(ncnn::Mat& map, const ncnn::Option& option) const override {
        const auto elements = static_cast<size_t>(map.elempack);
        if (map.elemsize != elements * kernels_.element_size) return ncnns_->forward_inplace(map, option);
        const size_t count = static_cast<size_t>(map.w) * static_cast<size_t>(map.h) * static_cast<size_t>(map.d);
        for (int c = 0; c < map.c; ++c) kernels_.activate(activation_, map.channel(c).data, count * elements);
        return 0;
    }

private:
    Activation activation_;
};

bool is_leaky_relu(const LayerLine& line) {
    const std::vector<float> slope = line.numbers(0);
    return line.has_only({0}) && slope.size() == 1 && is_slope(slope[0]);
}

}  // namespace

void add_activations(const Kernels& kernels, std::vector<OwnLayer>& layers) {
    using Type = ncnn::LayerType::LayerType;
    const auto plain = [](const LayerLine& line) { return line.has_only({}); };
    const auto with_numbers = [](const LayerLine& line) { return line.has_only({0, 1}); };
    layers.push_back(
        packed_layer<Activated<Kind::leaky_relu, Type::ReLU>>("ReLU", "PocketdetLeakyRelu", is_leaky_relu, kernels));
    layers.push_back(
        packed_layer<Activated<Kind::sigmoid, Type::Sigmoid>>("Sigmoid", "PocketdetSigmoid", plain, kernels));
    layers.push_back(packed_layer<Activated<Kind::swish, Type::Swish>>("Swish", "PocketdetSwish", plain, kernels));
    layers.push_back(packed_layer<Activated<Kind::hard_swish, Type::HardSwish>>("HardSwish", "PocketdetHardSwish",
                                                                                with_numbers, kernels));
}

}  // namespace pocketdet
