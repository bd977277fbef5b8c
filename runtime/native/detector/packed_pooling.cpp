// Pooling of packed maps.
#include <algorithm>
#include <memory>

#include <ncnn/layer_type.h>
#include <ncnn/paramdict.h>

#include "packed_layer.h"
#include "packed_layers.h"

namespace pocketdet {

namespace {

bool is_max_pool(const LayerLine& line) {
    return line.has_only({0, 1, 11, 2, 12, 3, 13, 14, 15, 4, 5, 6}) && line.get(0, 0) == 0 && line.get(1, 0) == 3 &&
           line.get(11, 3) == 3 && line.get(2, 1) == 2 && line.get(12, 2) == 2 && line.get(3, 0) == 1 &&
           line.get(13, 1) == 1 && line.get(14, 1) == 1 && line.get(15, 1) == 1 && line.get(4, 0) == 0 &&
           line.get(5, 0) == 1;
}

// Maps whose channels do not fill vectors are left to ncnn's layer.
class MaxPool : public PackedLayer {
public:
    using PackedLayer::PackedLayer;

    int load_param(const ncnn::ParamDict& params) override {
        ncnns_.reset(ncnn::create_layer_cpu(ncnn::LayerType::Pooling));
        return ncnns_ ? ncnns_->load_param(params) : -1;
    }
    int create_pipeline(const ncnn::Option& option) override { return ncnns_->create_pipeline(option); }
    int destroy_pipeline(const ncnn::Option& option) override { return ncnns_ ? ncnns_->destroy_pipeline(option) : 0; }

    int forward(const ncnn::Mat& map, ncnn::Mat& out, const ncnn::Option& option) const override {
        if (map.dims != 3 || !is_packed(map)) return ncnns_->forward(map, out, option);
        out.create((map.w + 1) / 2, (map.h + 1) / 2, map.c, map.elemsize, map.elempack, option.blob_allocator);
        if (out.empty()) return -100;
        for (int g = 0; g < out.c; ++g) {
            for (int y = 0; y < out.h; ++y) {
                const void* rows[3];
                for (int i = 0; i < 3; ++i) {
                    rows[i] = map.channel(g).row<void>(std::clamp(2 * y - 1 + i, 0, map.h - 1));
                }
                kernels_.max_pool({rows, out.channel(g).row<void>(y), map.w});
            }
        }
        return 0;
    }

private:
    std::unique_ptr<ncnn::Layer> ncnns_;
};

}  // namespace

void add_pooling(const Kernels& kernels, std::vector<OwnLayer>& layers) {
    layers.push_back(packed_layer<MaxPool>("Pooling", "PocketdetMaxPool", is_max_pool, kernels));
}

}  // namespace pocketdet
