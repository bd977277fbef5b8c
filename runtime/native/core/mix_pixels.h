// The two inner loops of bilinear resizing with SIMD: horizontal interpolation within a row, then vertical blending.
#pragma once

#include <cstddef>
#include <cstdint>

#if defined(__SSE2__)
#include <emmintrin.h>
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#endif

namespace pocketdet {

constexpr int kFractionBits = 11;
constexpr int kOne = 1 << kFractionBits;

// (kOne - f) * a + f * b with one multiplication.
inline int32_t mix(int32_t a, int32_t b, int32_t f) { return a * kOne + f * (b - a); }

// The weights of two neighbours, 16 bits each: kOne - fraction, then fraction in the upper half.
inline uint32_t shares_of(int32_t fraction) {
    return static_cast<uint32_t>(fraction) << 16 | static_cast<uint32_t>(kOne - fraction);
}

// Four values of a pixel in a register.
#if defined(__SSE2__)
using MixedPixel = __m128i;
#elif defined(__ARM_NEON)
using MixedPixel = uint32x4_t;
#else
struct MixedPixel {
    int32_t values[4];
};
#endif

// Interpolates between the pixel at `pixel` and the next one, both of kStep bytes: value c is
// mix(pixel[c], pixel[kStep + c], fraction) for c = 0..2 and the shares of a fraction below kOne. Value 3 is undefined.
// Reads eight bytes.
template <int kStep>
inline MixedPixel mix_with_next(const uint8_t* pixel, uint32_t shares) {
#if defined(__SSE2__)
    const __m128i both = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(pixel));
    const __m128i pairs = _mm_unpacklo_epi8(both, _mm_srli_epi64(both, 8 * kStep));
    const __m128i wide = _mm_unpacklo_epi8(pairs, _mm_setzero_si128());
    return _mm_madd_epi16(wide, _mm_set1_epi32(static_cast<int32_t>(shares)));
#elif defined(__ARM_NEON)
    constexpr uint8_t kNone = 255;  // of a table: zero
    constexpr uint8_t kFirst[8] = {0, kNone, 1, kNone, 2, kNone, kNone, kNone};
    constexpr uint8_t kSecond[8] = {kStep, kNone, kStep + 1, kNone, kStep + 2, kNone, kNone, kNone};
    const uint8x8_t both = vld1_u8(pixel);
    const uint16x4_t first = vreinterpret_u16_u8(vtbl1_u8(both, vld1_u8(kFirst)));
    const uint16x4_t second = vreinterpret_u16_u8(vtbl1_u8(both, vld1_u8(kSecond)));
    const uint16x4_t weights = vreinterpret_u16_u32(vdup_n_u32(shares));
    return vmlal_lane_u16(vmull_lane_u16(first, weights, 0), second, weights, 1);
#else
    MixedPixel mixed{};
    const int32_t fraction = static_cast<int32_t>(shares >> 16);
    for (int c = 0; c < 3; ++c) mixed.values[c] = mix(pixel[c], pixel[kStep + c], fraction);
    return mixed;
#endif
}

// out[i] = mix(top[i], bottom[i], fraction), rounded to 0..255. Inputs are in 0 .. 255 * kOne.
inline void blend(const int32_t* top, const int32_t* bottom, int32_t fraction, size_t count, uint8_t* out) {
    constexpr int32_t kHalf = 1 << (2 * kFractionBits - 1);
    size_t i = 0;
#if defined(__SSE2__)
    // SSE2 multiplies 16-bit values: the difference of two rows is split into a signed low half and the rest.
    const __m128i low_share = _mm_set1_epi32(fraction);
    const __m128i high_share = _mm_set1_epi32(fraction << 16);
    const __m128i half = _mm_set1_epi32(kHalf);
    const __m128i carry = _mm_set1_epi32(0x8000);
    const auto mixed = [&](size_t at) {
        const __m128i a = _mm_loadu_si128(reinterpret_cast<const __m128i*>(top + at));
        const __m128i b = _mm_loadu_si128(reinterpret_cast<const __m128i*>(bottom + at));
        const __m128i difference = _mm_sub_epi32(b, a);
        const __m128i low = _mm_madd_epi16(difference, low_share);
        const __m128i high = _mm_slli_epi32(_mm_madd_epi16(_mm_add_epi32(difference, carry), high_share), 16);
        const __m128i scaled = _mm_add_epi32(_mm_slli_epi32(a, kFractionBits), half);
        return _mm_srli_epi32(_mm_add_epi32(scaled, _mm_add_epi32(low, high)), 2 * kFractionBits);
    };
    for (; i + 16 <= count; i += 16) {
        const __m128i first = _mm_packs_epi32(mixed(i), mixed(i + 4));
        const __m128i second = _mm_packs_epi32(mixed(i + 8), mixed(i + 12));
        _mm_storeu_si128(reinterpret_cast<__m128i*>(out + i), _mm_packus_epi16(first, second));
    }
#endif
    for (; i < count; ++i) {
        out[i] = static_cast<uint8_t>((mix(top[i], bottom[i], fraction) + kHalf) >> (2 * kFractionBits));
    }
}

}  // namespace pocketdet
