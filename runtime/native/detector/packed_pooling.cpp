// Pooling, means, cropping and doubling of packed maps.
#include <algorithm>

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

class MaxPool : public PackedOrNcnns {
public:
    explicit MaxPool(const Kernels& kernels) : PackedOrNcnns(kernels, ncnn::LayerType::Pooling) {}

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
};

// The nearest pixel in a map of twice the size.
bool is_double(const LayerLine& line) {
    return line.has_only({0, 1, 2, 6}) && line.get(0, 0) == 1 && line.has("1=2.0") && line.has("2=2.0") &&
           line.get(6, 0) == 0;
}

class Double : public PackedOrNcnns {
public:
    explicit Double(const Kernels& kernels) : PackedOrNcnns(kernels, ncnn::LayerType::Interp) {}

    int forward(const ncnn::Mat& map, ncnn::Mat& out, const ncnn::Option& option) const override {
        if (map.dims != 3 || !is_packed(map)) return ncnns_->forward(map, out, option);
        out.create(2 * map.w, 2 * map.h, map.c, map.elemsize, map.elempack, option.blob_allocator);
        if (out.empty()) return -100;
        const size_t row_size = static_cast<size_t>(out.w) * pixel_size();
        for (int g = 0; g < out.c; ++g) {
            ncnn::Mat group = out.channel(g);
            for (int y = 0; y < map.h; ++y) {
                kernels_.double_row(map.channel(g).row<void>(y), map.w, group.row<void>(2 * y));
                std::memcpy(group.row<void>(2 * y + 1), group.row<void>(2 * y), row_size);
            }
        }
        return 0;
    }
};

// The mean of each channel of a map.
bool is_mean(const LayerLine& line) {
    return line.has_only({0, 1, -23303, 4, 5}) && line.get(0, 0) == 3 && line.get(1, 1) == 0 &&
           line.has("-23303=2,1,2") && line.get(4, 0) == 1 && line.get(5, 0) == 1;
}

class Mean : public PackedOrNcnns {
public:
    explicit Mean(const Kernels& kernels) : PackedOrNcnns(kernels, ncnn::LayerType::Reduction) {}

    int forward(const ncnn::Mat& map, ncnn::Mat& out, const ncnn::Option& option) const override {
        if (map.dims != 3 || !is_packed(map)) return of_floats(map, out, option);
        out.create(1, 1, map.c, map.elemsize, map.elempack, option.blob_allocator);
        if (out.empty()) return -100;
        for (int g = 0; g < out.c; ++g) kernels_.mean(map.channel(g).data, map.w * map.h, out.channel(g).data);
        return 0;
    }

private:
    // ncnn's layer knows neither halves nor packed maps.
    int of_floats(const ncnn::Mat& map, ncnn::Mat& out, const ncnn::Option& option) const {
        ncnn::Mat plain, floats;
        ncnn::convert_packing(map, plain, 1, option);
        if (plain.empty()) return -100;
        ncnn::cast_float16_to_float32(plain, floats, option);
        return floats.empty() ? -100 : ncnns_->forward(floats, out, option);
    }
};

// The first channels of a map, as an output of the graph.
bool is_crop(const LayerLine& line) {
    return line.is_end && line.has_only({-23309, -23310, -23311}) && line.has("-23309=1,0") && line.has("-23311=1,0");
}

class Crop : public PackedOrNcnns {
public:
    explicit Crop(const Kernels& kernels) : PackedOrNcnns(kernels, ncnn::LayerType::Crop) {}

    int load_param(const ncnn::ParamDict& params) override {
        const ncnn::Mat ends = params.get(10, ncnn::Mat());
        channels_ = ends.w == 1 ? static_cast<const int*>(ends.data)[0] : 0;
        return PackedOrNcnns::load_param(params);
    }

    int forward(const ncnn::Mat& map, ncnn::Mat& out, const ncnn::Option& option) const override {
        const bool is_inside = channels_ > 0 && channels_ <= map.c * kernels_.lanes;
        if (map.dims != 3 || !is_packed(map) || !is_inside) return ncnns_->forward(map, out, option);
        write_planes(map, channels_, out, option);
        return out.empty() ? -100 : 0;
    }

private:
    int channels_ = 0;
};

}  // namespace

void add_pooling(const Kernels& kernels, std::vector<OwnLayer>& layers) {
    layers.push_back(packed_layer<MaxPool>("Pooling", "PocketdetMaxPool", is_max_pool, kernels));
    layers.push_back(packed_layer<Double>("Interp", "PocketdetDouble", is_double, kernels));
    if (kernels.mean != nullptr) {
        layers.push_back(packed_layer<Mean>("Reduction", "PocketdetMean", is_mean, kernels));
    }
    if (kernels.to_planes != nullptr) {
        layers.push_back(packed_layer<Crop>("Crop", "PocketdetCrop", is_crop, kernels));
    }
}

}  // namespace pocketdet
