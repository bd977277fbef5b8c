// A planar float map that somebody else owns; channel stride apart, so that ncnn's padded Mats fit unchanged.
#pragma once

#include <cstddef>

namespace pocketdet {

struct FeatureMap {
    const float* data;
    std::ptrdiff_t channel_stride;  // in floats, ncnn's cstep
    int channels, height, width;    // a plane is height * width floats without gaps

    const float* plane(int channel) const { return data + channel * channel_stride; }
    int plane_size() const { return height * width; }
};

}  // namespace pocketdet
