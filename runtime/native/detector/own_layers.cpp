#include "own_layers.h"

#include <algorithm>
#include <cstring>
#include <set>
#include <sstream>

#include <ncnn/cpu.h>
#include <ncnn/net.h>
#include <ncnn/platform.h>

#include "deformable_conv.h"
#include "joined_layers.h"
#include "kernels.h"
#include "packed_layers.h"

namespace pocketdet {

const Kernels* kernels_for(Arithmetic arithmetic) {
#if defined(__aarch64__)
    if (arithmetic == Arithmetic::fp16) return &kHalfKernels;
    if (arithmetic == Arithmetic::fp32) return &kSingleKernels;
#elif defined(__x86_64__)
    const bool packs_by_16 = NCNN_AVX512 != 0 && ncnn::cpu_support_x86_avx512() != 0;
    const bool packs_by_8 = NCNN_AVX != 0 && !packs_by_16;
    const bool has_both = ncnn::cpu_support_x86_avx2() != 0 && ncnn::cpu_support_x86_fma() != 0;
    if (arithmetic == Arithmetic::fp32 && packs_by_8 && has_both) return &kAvx2Kernels;
#else
    (void)arithmetic;
#endif
    return nullptr;
}

namespace {

// Layers in int8 write halves.
void add_byte_layers_for(Arithmetic arithmetic, std::vector<OwnLayer>& layers) {
#if defined(__aarch64__)
    if (arithmetic == Arithmetic::fp16 && ncnn::cpu_support_arm_asimddp() != 0) add_byte_layers(kHalfKernels, layers);
#else
    (void)arithmetic, (void)layers;
#endif
}

}  // namespace

std::string with_types(ncnn::Net& net, const std::string& param, const std::vector<OwnLayer>& layers) {
    for (const OwnLayer& layer : layers) {
        net.register_custom_layer(layer.type, layer.create, nullptr, layer.userdata);
    }
    std::vector<std::string> lines;
    std::set<std::string> read;
    std::istringstream stream(param);
    for (std::string text; std::getline(stream, text);) {
        lines.push_back(text);
        const LayerLine line(text);
        read.insert(line.inputs.begin(), line.inputs.end());
    }
    std::string result;
    for (std::string& text : lines) {
        LayerLine line(text);
        line.is_end = std::none_of(line.outputs.begin(), line.outputs.end(),
                                   [&](const std::string& blob) { return read.count(blob) != 0; });
        const auto own = std::find_if(layers.begin(), layers.end(), [&](const OwnLayer& layer) {
            return line.type == layer.ncnn_type && layer.computes(line);
        });
        if (own != layers.end()) text.replace(text.find(own->ncnn_type), std::strlen(own->ncnn_type), own->type);
        result += text + "\n";
    }
    return result;
}

std::string with_own_layers(ncnn::Net& net, const std::string& param, Arithmetic arithmetic) {
    const Kernels* const kernels = kernels_for(arithmetic);
    std::vector<OwnLayer> layers;
    if (kNcnnSamplesSlowly) layers.push_back(own_deformable_convolution());
    if (kernels == nullptr) return with_types(net, param, layers);
    add_convolutions(*kernels, layers);
    add_pooling(*kernels, layers);
    add_activations(*kernels, layers);
    add_products(*kernels, layers);
    add_byte_layers_for(arithmetic, layers);
    return with_joined_layers(net, with_types(net, param, layers), *kernels);
}

}  // namespace pocketdet
