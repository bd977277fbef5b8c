#include "cpu.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#if defined(__linux__)
#include <sys/auxv.h>
#endif
#endif

namespace pocketdet {

#if defined(__x86_64__) || defined(__i386__)

std::vector<std::string> cpu_features() {
    std::vector<std::string> names;
    __builtin_cpu_init();
    if (__builtin_cpu_supports("sse4.2")) names.emplace_back("sse4.2");
    if (__builtin_cpu_supports("avx")) names.emplace_back("avx");
    if (__builtin_cpu_supports("avx2")) names.emplace_back("avx2");
    if (__builtin_cpu_supports("fma")) names.emplace_back("fma");
    if (__builtin_cpu_supports("avx512f")) names.emplace_back("avx512f");
    if (__builtin_cpu_supports("avx512bw")) names.emplace_back("avx512bw");
    if (__builtin_cpu_supports("avx512vl")) names.emplace_back("avx512vl");
    if (__builtin_cpu_supports("avx512vnni")) names.emplace_back("avx512vnni");
    return names;
}

#elif defined(__aarch64__) && defined(__linux__)

std::vector<std::string> cpu_features() {
    // Bits of the kernel's aarch64 ABI (asm/hwcap.h), written out because older headers lack the newer ones.
    const unsigned long hwcap = getauxval(AT_HWCAP);
    const unsigned long hwcap2 = getauxval(AT_HWCAP2);
    std::vector<std::string> names;
    if ((hwcap & (1ul << 1)) != 0) names.emplace_back("neon");
    if ((hwcap & (1ul << 10)) != 0) names.emplace_back("fp16");
    if ((hwcap & (1ul << 20)) != 0) names.emplace_back("dotprod");
    if ((hwcap & (1ul << 22)) != 0) names.emplace_back("sve");
    if ((hwcap2 & (1ul << 13)) != 0) names.emplace_back("i8mm");
    if ((hwcap2 & (1ul << 14)) != 0) names.emplace_back("bf16");
    return names;
}

#elif defined(__aarch64__)

std::vector<std::string> cpu_features() { return {"neon"}; }

#else

std::vector<std::string> cpu_features() { return {}; }

#endif

namespace {

// Each round adds kStep * kStep to every accumulator. Accumulators stay normal numbers: they grow until the step is
// rounded away. They start at different values, so that the compiler cannot merge them.
constexpr float kStep = 0.5f;

// Runs `rounds` rounds. Returns a value of all accumulators, so that none is optimised away.
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

// Separate multiplication and addition; the compiler chooses the instructions.
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

// Supported variants, widest first.
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
    volatile float result = kernel(rounds);
    (void)result;
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

FmaPeak measure_fma_peak(int runs) {
    constexpr double kRunSeconds = 1e-3;  // far above the clock's step, far below a time slice of the scheduler
    constexpr double kMargin = 1.01;      // if two sets are equally fast, report the wider one
    FmaPeak best;
    for (const Variant& variant : variants()) {
        int64_t rounds = 1024;
        while (seconds_of(variant.kernel, rounds) < kRunSeconds) rounds *= 2;
        double shortest = seconds_of(variant.kernel, rounds);
        for (int run = 1; run < runs; ++run) shortest = std::min(shortest, seconds_of(variant.kernel, rounds));
        const double gflops = 2e-9 * variant.lanes * static_cast<double>(rounds) / shortest;
        if (gflops > kMargin * best.gflops) best = {gflops, variant.name};
    }
    return best;
}

}  // namespace pocketdet
