// The base class of our layers on packed maps.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include <ncnn/layer.h>

#include "kernels.h"
#include "own_layers.h"

namespace pocketdet {

// Of a leaky ReLU that is the maximum of x and slope * x, also of infinities.
inline bool is_slope(float slope) { return slope > 0 && slope <= 1; }

class PackedLayer : public ncnn::Layer {
public:
    explicit PackedLayer(const Kernels& kernels) : kernels_(kernels) {
        one_blob_only = true;
        support_packing = true;
        support_fp16_storage = kernels.element_size == 2;
    }

protected:
    // The bytes of one vector.
    size_t pixel_size() const { return static_cast<size_t>(kernels_.lanes) * kernels_.element_size; }
    bool is_packed(const ncnn::Mat& map) const {
        return map.elempack == kernels_.lanes && map.elemsize == pixel_size();
    }

    // `count` rounded up to whole vectors.
    int filled_up(int count) const { return (count + kernels_.lanes - 1) / kernels_.lanes * kernels_.lanes; }

    // A vector of elements, empty without memory. A load of AVX crosses no line of the cache: ncnn aligns them by 64.
    ncnn::Mat elements_of(const std::vector<float>& values) const {
        const int count = static_cast<int>(values.size());
        ncnn::Mat elements(count, kernels_.element_size);
        if (!elements.empty()) kernels_.convert(values.data(), count, elements.data);
        return elements;
    }

    // (outputs, depth) -> (batches of `groups`, depth, outputs of the batch); missing outputs are zero.
    std::vector<float> in_batches(const float* weights, int outputs, int depth, int groups) const {
        std::vector<float> ordered;
        const int batch = groups * kernels_.lanes, filled = filled_up(outputs);
        for (int first = 0; first < filled; first += batch) {
            for (int i = 0; i < depth; ++i) {
                for (int o = first; o < std::min(first + batch, filled); ++o) {
                    ordered.push_back(o < outputs ? weights[o * depth + i] : 0.f);
                }
            }
        }
        return ordered;
    }

    // The first `channels` of `packed`, as planes of floats; `to` is empty if memory could not be allocated.
    void write_planes(const ncnn::Mat& packed, int channels, ncnn::Mat& to, const ncnn::Option& option) const {
        to.create(packed.w, packed.h, channels, sizeof(float), option.blob_allocator);
        if (to.empty()) return;
        for (int g = 0; g * kernels_.lanes < channels; ++g) {
            const int first = g * kernels_.lanes;
            kernels_.to_planes(packed.channel(g).data, packed.w * packed.h, std::min(kernels_.lanes, channels - first),
                               to.channel(first), static_cast<std::ptrdiff_t>(to.cstep));
        }
    }

    // As much of each row as both have.
    void copy_rows(const ncnn::Mat& from, ncnn::Mat& to) const {
        const size_t size = static_cast<size_t>(std::min(from.w, to.w)) * kernels_.element_size;
        for (int y = 0; y < from.h; ++y) std::memcpy(to.row<uint8_t>(y), from.row<uint8_t>(y), size);
    }

    const Kernels& kernels_;
};

// A layer that leaves to ncnn's what the kernels do not compute, such as maps whose channels do not fill vectors.
class PackedOrNcnns : public PackedLayer {
public:
    PackedOrNcnns(const Kernels& kernels, int ncnn_type) : PackedLayer(kernels), ncnn_type_(ncnn_type) {}

    int load_param(const ncnn::ParamDict& params) override {
        ncnns_.reset(ncnn::create_layer_cpu(ncnn_type_));
        return ncnns_ ? ncnns_->load_param(params) : -1;
    }
    int create_pipeline(const ncnn::Option& option) override { return ncnns_->create_pipeline(option); }
    int destroy_pipeline(const ncnn::Option& option) override { return ncnns_ ? ncnns_->destroy_pipeline(option) : 0; }

protected:
    std::unique_ptr<ncnn::Layer> ncnns_;

private:
    const int ncnn_type_;
};

template <class Type>
ncnn::Layer* create_packed(void* kernels) {
    return new Type(*static_cast<const Kernels*>(kernels));
}

// An entry of the table of our layers.
template <class Type>
OwnLayer packed_layer(const char* ncnn_type, const char* type, std::function<bool(const LayerLine&)> computes,
                      const Kernels& kernels) {
    return {ncnn_type, type, std::move(computes), create_packed<Type>, const_cast<Kernels*>(&kernels)};
}

}  // namespace pocketdet
