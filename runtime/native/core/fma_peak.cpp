#include "fma_peak.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace pocketdet {
namespace {

// Each round adds kStep * kStep to every accumulator, which stays a normal number: it grows until it is too large
// for the step to matter. The accumulators start apart, or one would do for all of them.
constexpr float kStep = 0.5f;

// Does `rounds` rounds and returns a number made of all accumulators, so that none can be left out.
using Kernel = float (*)(int64_t rounds);

struct Variant {
    const char* name;
    Kernel kernel;
    int lanes;  // multiply-adds in a round
};

#if defined(__x86_64__)

constexpr int kAccumulators = 12;  // two units of four or five cycles keep ten busy; AVX2 has 16 registers

__attribute__((target("avx512f"))) float run_avx512(int64_t rounds) {
    const __m512 step = _mm512_set1_ps(kStep);
    __m512 sums[kAccumulators];
    for (int i = 0; i < kAccumulators; ++i) sums[i] = _mm512_set1_ps(static_cast<float>(i));
    for (int64_t round = 0; round < rounds; ++round) {
        for (int i = 0; i < kAccumulators; ++i) sums[i] = _mm512_fmadd_ps(step, step, sums[i]);
    }
    for (int i = 1; i < kAccumulators; ++i) sums[0] = _mm512_add_ps(sums[0], sums[i]);
    return _mm512_cvtss_f32(sums[0]);
}

__attribute__((target("avx2,fma"))) float run_avx2(int64_t rounds) {
    const __m256 step = _mm256_set1_ps(kStep);
    __m256 sums[kAccumulators];
    for (int i = 0; i < kAccumulators; ++i) sums[i] = _mm256_set1_ps(static_cast<float>(i));
    for (int64_t round = 0; round < rounds; ++round) {
        for (int i = 0; i < kAccumulators; ++i) sums[i] = _mm256_fmadd_ps(step, step, sums[i]);
    }
    for (int i = 1; i < kAccumulators; ++i) sums[0] = _mm256_add_ps(sums[0], sums[i]);
    return _mm256_cvtss_f32(sums[0]);
}

#elif defined(__aarch64__)

constexpr int kAccumulators = 16;  // four units of four cycles

float run_neon(int64_t rounds) {
    const float32x4_t step = vdupq_n_f32(kStep);
    float32x4_t sums[kAccumulators];
    for (int i = 0; i < kAccumulators; ++i) sums[i] = vdupq_n_f32(static_cast<float>(i));
    for (int64_t round = 0; round < rounds; ++round) {
        for (int i = 0; i < kAccumulators; ++i) sums[i] = vfmaq_f32(sums[i], step, step);
    }
    for (int i = 1; i < kAccumulators; ++i) sums[0] = vaddq_f32(sums[0], sums[i]);
    return vgetq_lane_f32(sums[0], 0);
}

#endif

// A multiplication and an addition apart, in whatever registers the compiler finds.
float run_plain(int64_t rounds) {
    constexpr int kSums = 16;
    float sums[kSums];
    for (int i = 0; i < kSums; ++i) sums[i] = static_cast<float>(i);
    for (int64_t round = 0; round < rounds; ++round) {
        for (int i = 0; i < kSums; ++i) sums[i] = sums[i] * kStep + kStep;  // converges to 1
    }
    for (int i = 1; i < kSums; ++i) sums[0] += sums[i];
    return sums[0];
}

// The widest first.
std::vector<Variant> variants() {
    std::vector<Variant> found;
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f")) found.push_back({"avx512f", run_avx512, 16 * kAccumulators});
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        found.push_back({"avx2+fma", run_avx2, 8 * kAccumulators});
    }
#elif defined(__aarch64__)
    found.push_back({"neon", run_neon, 4 * kAccumulators});
#endif
    if (found.empty()) found.push_back({"c++", run_plain, 16});
    return found;
}

double seconds_of(Kernel kernel, int64_t rounds) {
    const auto start = std::chrono::steady_clock::now();
    volatile float kept = kernel(rounds);
    (void)kept;
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

FmaPeak measure_fma_peak(int runs) {
    constexpr double kRunSeconds = 1e-3;  // far above the clock's step, far below a time slice of the scheduler
    constexpr double kClearly = 1.01;  // where two sets are equally fast, the name is always that of the wider
    FmaPeak best;
    for (const Variant& variant : variants()) {
        int64_t rounds = 1024;
        while (seconds_of(variant.kernel, rounds) < kRunSeconds) rounds *= 2;
        double shortest = seconds_of(variant.kernel, rounds);
        for (int run = 1; run < runs; ++run) shortest = std::min(shortest, seconds_of(variant.kernel, rounds));
        const double gflops = 2e-9 * variant.lanes * static_cast<double>(rounds) / shortest;
        if (gflops > kClearly * best.gflops) best = {gflops, variant.name};
    }
    return best;
}

}  // namespace pocketdet
