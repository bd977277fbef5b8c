#include "own_layers.h"

#include <algorithm>
#include <cstring>
#include <sstream>

#include <ncnn/net.h>

#include "deformable_conv.h"
#include "kernels.h"
#include "packed_layers.h"

namespace pocketdet {

std::vector<OwnLayer> own_layers_for(Arithmetic arithmetic) {
    std::vector<OwnLayer> layers;
    if (kNcnnSamplesSlowly) layers.push_back(own_deformable_convolution());
#if defined(__aarch64__)
    const Kernels* kernels = arithmetic == Arithmetic::fp16   ? &kHalfKernels
                             : arithmetic == Arithmetic::fp32 ? &kSingleKernels
                                                              : nullptr;
    if (kernels != nullptr) {
        add_convolutions(*kernels, layers);
        add_pooling(*kernels, layers);
        add_products(*kernels, layers);
    }
#else
    (void)arithmetic;
#endif
    return layers;
}

std::string with_own_layers(ncnn::Net& net, const std::string& param, const std::vector<OwnLayer>& layers) {
    for (const OwnLayer& layer : layers) {
        net.register_custom_layer(layer.type, layer.create, nullptr, layer.userdata);
    }
    std::istringstream lines(param);
    std::string result, text;
    while (std::getline(lines, text)) {
        const LayerLine line(text);
        const auto own = std::find_if(layers.begin(), layers.end(), [&](const OwnLayer& layer) {
            return line.type == layer.ncnn_type && layer.computes(line);
        });
        if (own != layers.end()) text.replace(text.find(own->ncnn_type), std::strlen(own->ncnn_type), own->type);
        result += text + "\n";
    }
    return result;
}

}  // namespace pocketdet
