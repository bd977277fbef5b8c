// Random values for the fuzz tests, some of them NaN, infinite, huge or tiny.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <limits>
#include <memory>
#include <random>

#include "boxes.h"
#include "check.h"

namespace pocketdet {

class Fuzz {
public:
    explicit Fuzz(unsigned seed) : random_(seed) {}

    int integer(int low, int high) { return std::uniform_int_distribution<int>(low, high)(random_); }

    float number() {
        constexpr float kOdd[] = {0.0f,
                                  -0.0f,
                                  1e-45f,
                                  3e38f,
                                  -3e38f,
                                  1e10f,
                                  std::numeric_limits<float>::infinity(),
                                  -std::numeric_limits<float>::infinity(),
                                  std::numeric_limits<float>::quiet_NaN()};
        if (integer(0, 19) == 0) return kOdd[integer(0, 8)];
        return std::normal_distribution<float>(0.0f, integer(0, 3) == 0 ? 100.0f : 2.0f)(random_);
    }

    std::unique_ptr<float[]> numbers(size_t count) {
        std::unique_ptr<float[]> values(new float[count]);
        for (size_t i = 0; i < count; ++i) values[i] = number();
        return values;
    }

    std::unique_ptr<Box[]> boxes(size_t count) {
        std::unique_ptr<Box[]> values(new Box[count]);
        for (size_t i = 0; i < count; ++i) values[i] = {number(), number(), number(), number()};
        return values;
    }

    std::unique_ptr<uint8_t[]> bytes(size_t count) {
        std::unique_ptr<uint8_t[]> values(new uint8_t[count]);
        for (size_t i = 0; i < count; ++i) values[i] = static_cast<uint8_t>(integer(0, 255));
        return values;
    }

private:
    std::mt19937 random_;
};

}  // namespace pocketdet
