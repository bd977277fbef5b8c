// Pseudorandom numbers and maps for tests of layers, the same in every run.
#pragma once

#include <random>

#include <ncnn/mat.h>

namespace pocketdet {

class Drawn {
public:
    // Numbers are multiples of 1 / steps in [-1, 1].
    explicit Drawn(unsigned seed, unsigned steps = 10000) : engine_(seed), steps_(steps) {}
    float next(float spread = 1.f) {
        return spread * (static_cast<float>(engine_() % (2 * steps_ + 1)) / static_cast<float>(steps_) - 1.f);
    }
    ncnn::Mat maps(int width, int height, int channels, float spread = 1.f) {
        ncnn::Mat mat(width, height, channels);
        for (int c = 0; c < channels; ++c) {
            float* to = mat.channel(c);
            for (int i = 0; i < width * height; ++i) to[i] = next(spread);
        }
        return mat;
    }

private:
    std::mt19937 engine_;
    unsigned steps_;
};

}  // namespace pocketdet
