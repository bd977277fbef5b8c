// Kernels in float32 for x86: compiled with AVX2 and FMA, for processors that have both.
#include <immintrin.h>

#include "packed_kernels.h"

namespace pocketdet {
namespace {

struct Avx2Lanes {
    using Element = float;
    using Vector = __m256;
    using Indexed = const float*;  // elements are broadcast from memory
    // 12 sums of 16 registers
    static constexpr int kCount = 8, kStemPixels = 4, kProductPixels = 6, kDepthwisePixels = 8;
    static constexpr bool kJoinsRows = false;

    static Vector load(const Element* from) { return _mm256_loadu_ps(from); }
    static void store(Element* to, Vector v) { _mm256_storeu_ps(to, v); }
    static Vector splat(float value) { return _mm256_set1_ps(value); }
    static Vector zip_low(Vector a, Vector b) { return zip<0x20>(a, b); }
    static Vector zip_high(Vector a, Vector b) { return zip<0x31>(a, b); }
    template <int halves>
    static Vector zip(Vector a, Vector b) {
        return _mm256_permute2f128_ps(_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b), halves);
    }
    static Vector max(Vector a, Vector b) { return _mm256_max_ps(a, b); }
    static Vector add_product(Vector sum, Vector a, Vector b) { return _mm256_fmadd_ps(a, b, sum); }
    static Indexed load_indexed(const Element* from) { return from; }
    template <int lane>
    static Vector add_scaled(Vector sum, Vector a, Indexed b) {
        return _mm256_fmadd_ps(a, _mm256_broadcast_ss(b + lane), sum);
    }
    // exp(-x) = 2^whole * 2^part, the latter by its Taylor polynomial of degree 6: 2e-7 of the value.
    static Vector sigmoid(Vector x) {
        const Vector exponent = _mm256_mul_ps(x, splat(-1.44269504f));
        const Vector bounded = _mm256_max_ps(_mm256_min_ps(exponent, splat(126)), splat(-126));
        const Vector whole = _mm256_round_ps(bounded, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
        const Vector part = _mm256_sub_ps(bounded, whole);
        constexpr float coefficients[] = {1.33335581e-3f, 9.61812911e-3f, 5.55041087e-2f,
                                          .240226507f,    .693147181f,    1.f};
        Vector power = splat(1.54035304e-4f);
        for (const float coefficient : coefficients) power = _mm256_fmadd_ps(power, part, splat(coefficient));
        const __m256i added = _mm256_slli_epi32(_mm256_cvtps_epi32(whole), 23);
        const Vector scaled = _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(power), added));
        return _mm256_div_ps(splat(1), _mm256_add_ps(splat(1), scaled));
    }
    static void sigmoid_all(void* elements, std::size_t count) {
        auto* const values = static_cast<Element*>(elements);
        for (std::size_t i = 0; i < count; i += kCount) store(values + i, sigmoid(load(values + i)));
    }
    static constexpr auto kSigmoid = sigmoid_all;
    static void convert(const float* from, int count, void* to) {
        float* out = static_cast<float*>(to);
        for (int i = 0; i < count; ++i) out[i] = from[i];
    }
};

}  // namespace

const Kernels kAvx2Kernels = kernels_of<Avx2Lanes>();

}  // namespace pocketdet
