#include "feature_mask.h"

#include <string_view>
#include <unordered_map>
#include <utility>

#include "layer_types.h"
#include "message_text.h"

namespace pocketdet::graph {

bool gives_fp32(const Layer* layer, int64_t without) {
    if (layer == nullptr || layer->type == "Input") return true;
    const int64_t lacking = layer->int_param(kFeatureMask, 0) & without;
    return lacking == without || (without == kNoFp16Storage && layer->type == "Dropout" && lacking == 0);
}

void check_feature_masks(const Graph& graph) {
    std::unordered_map<std::string_view, const Layer*> makers;
    for (const Layer& layer : graph.layers) {
        for (const std::string& blob : layer.outputs) makers[blob] = &layer;
    }
    constexpr std::pair<int64_t, const char*> kKinds[] = {{kNoFp16Storage, "halves"}, {kNoBf16Storage, "bfloat16"}};
    for (const Layer& layer : graph.layers) {
        const int64_t mask = layer.int_param(kFeatureMask, 0);
        if (mask < 0 || mask > 255) {
            layer.fail("the feature mask must be 0..255, found " + std::to_string(mask));
        }
        for (const auto& [bit, kind] : kKinds) {
            if ((mask & bit) == 0) continue;
            for (const std::string& blob : layer.inputs) {
                const auto maker = makers.find(blob);
                if (gives_fp32(maker == makers.end() ? nullptr : maker->second, bit)) continue;
                layer.fail("its feature mask " + std::to_string(mask) + " forbids " + kind + " and its input " +
                           quoted(blob) + " may hold them, which ncnn reads out of bounds");
            }
        }
    }
}

}  // namespace pocketdet::graph
