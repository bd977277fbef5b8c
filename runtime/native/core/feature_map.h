// A view of a planar float32 map (channels, height, width). Channels may be padded, as in an ncnn::Mat.
#pragma once

#include <cstddef>

namespace pocketdet {

struct FeatureMap {
    const float* data;
    std::ptrdiff_t channel_stride;  // in floats, ncnn's cstep
    int channels, height, width;    // each plane is height * width contiguous floats

    const float* plane(int channel) const { return data + channel * channel_stride; }
    int plane_size() const { return height * width; }
};

}  // namespace pocketdet
