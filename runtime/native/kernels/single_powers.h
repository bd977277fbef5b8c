// What sigmoids of float32 take: see HalfLanes for what the names mean.
#pragma once

namespace pocketdet {
namespace {

struct SinglePowers {
    static constexpr float kMostSigmoid = 87.33f, kRounding = 12582912;  // 1.5 * 2^23
    static constexpr float kPowers[] = {
        1.54035304e-4f, -1.33335581e-3f, 9.61812911e-3f, -5.55041087e-2f, .240226507f, -.693147181f, 1};
};

}  // namespace
}  // namespace pocketdet
