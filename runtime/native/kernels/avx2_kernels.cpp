// Kernels in float32 for x86: compiled with AVX2 and FMA, for processors that have both.
#include <immintrin.h>

#include "packed_kernels.h"
#include "single_powers.h"

namespace pocketdet {
namespace {

struct Avx2Lanes : SinglePowers {
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
    static Vector even(Vector a, Vector b) { return unzip<0x88>(a, b); }
    static Vector odd(Vector a, Vector b) { return unzip<0xdd>(a, b); }
    template <int elements>  // of both, in each half
    static Vector unzip(Vector a, Vector b) {
        const __m256d pairs = _mm256_castps_pd(_mm256_shuffle_ps(a, b, elements));
        return _mm256_castpd_ps(_mm256_permute4x64_pd(pairs, 0xd8));
    }
    static Vector max(Vector a, Vector b) { return _mm256_max_ps(a, b); }
    static Vector min(Vector a, Vector b) { return _mm256_min_ps(a, b); }
    static Vector add_product(Vector sum, Vector a, Vector b) { return _mm256_fmadd_ps(a, b, sum); }
    static Vector subtract_product(Vector sum, Vector a, Vector b) { return _mm256_fnmadd_ps(a, b, sum); }
    static Indexed load_indexed(const Element* from) { return from; }
    template <int lane>
    static Vector add_scaled(Vector sum, Vector a, Indexed b) {
        return _mm256_fmadd_ps(a, _mm256_broadcast_ss(b + lane), sum);
    }
    static Vector add_to_exponent(Vector v, Vector rounded) {
        const __m256i whole = _mm256_slli_epi32(_mm256_castps_si256(rounded), 23);
        return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(v), whole));
    }
    template <int count>
    static void invert(Vector (&x)[count]) {
        for (Vector& v : x) v = _mm256_div_ps(splat(1), v);
    }
    static void convert(const float* from, int count, void* to) {
        float* out = static_cast<float*>(to);
        for (int i = 0; i < count; ++i) out[i] = from[i];
    }
};

}  // namespace

const Kernels kAvx2Kernels = kernels_of<Avx2Lanes>();

}  // namespace pocketdet
