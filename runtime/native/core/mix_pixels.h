// The two inner loops of bilinear resizing with SIMD: horizontal interpolation within a row, then vertical blending.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "resize.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace pocketdet {

constexpr int kFractionBits = 11;
constexpr int kOne = 1 << kFractionBits;

// (kOne - f) * a + f * b with one multiplication.
inline int32_t mix(int32_t a, int32_t b, int32_t f) { return a * kOne + f * (b - a); }

// The weights of two neighbours for columns in groups of 4, 8 in each: kOne - fraction and fraction, one column after
// the other, or on ARM first those of all left neighbours.
inline void put_shares(size_t column, int32_t fraction, uint16_t* shares) {
#if defined(__aarch64__)
    uint16_t* const to = shares + column / 4 * 8 + column % 4;
    constexpr size_t kApart = 4;
#else
    uint16_t* const to = shares + 2 * column;
    constexpr size_t kApart = 1;
#endif
    to[0] = static_cast<uint16_t>(kOne - fraction);
    to[kApart] = static_cast<uint16_t>(fraction);
}

#if defined(__aarch64__)
// Of 4 pixels and the pixels after them, 8 bytes each.
template <int kStep>
constexpr ChannelPlaces places_in_eights() {
    ChannelPlaces places{};
    for (int k = 0; k < 4; ++k) places.put(k, 8 * k, 8 * k + kStep);
    return places;
}

// mix_four of the pixels at `places` of `bytes`.
inline void mix_at(const ChannelPlaces& places, uint8x16x2_t bytes, const uint16_t* shares, int32_t* out,
                   size_t plane) {
    const uint16x8_t weights = vld1q_u16(shares);
    uint16x8_t values[3];  // loops of their own: a processor that executes in order would wait within one channel
    for (int c = 0; c < 3; ++c) values[c] = vreinterpretq_u16_u8(vqtbl2q_u8(bytes, vld1q_u8(places.bytes[c])));
    uint32x4_t sums[3];
    for (int c = 0; c < 3; ++c) sums[c] = vmull_u16(vget_low_u16(values[c]), vget_low_u16(weights));
    for (int c = 0; c < 3; ++c) sums[c] = vmlal_high_u16(sums[c], values[c], weights);
    for (size_t c = 0; c < 3; ++c) vst1q_s32(out + c * plane, vreinterpretq_s32_u32(sums[c]));
}
#endif

// Interpolates between each of 4 pixels and the one after it, both of kStep bytes: out[c * plane + i] is
// mix(pixels[i][c], pixels[i][kStep + c], fraction) for c = 0..2 and the shares of 4 fractions below kOne.
// Reads eight bytes of each pixel.
template <int kStep>
inline void mix_four(const uint8_t* const (&pixels)[4], const uint16_t* shares, int32_t* out, size_t plane) {
#if defined(__SSE2__)
    const auto mixed = [&](int i) {
        const __m128i both = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(pixels[i]));
        const __m128i pairs = _mm_unpacklo_epi8(both, _mm_srli_epi64(both, 8 * kStep));
        const __m128i wide = _mm_unpacklo_epi8(pairs, _mm_setzero_si128());
        int32_t both_shares;
        std::memcpy(&both_shares, shares + 2 * i, sizeof both_shares);
        return _mm_madd_epi16(wide, _mm_set1_epi32(both_shares));
    };
    const __m128i all[4] = {mixed(0), mixed(1), mixed(2), mixed(3)};
    const __m128i low[2] = {_mm_unpacklo_epi32(all[0], all[1]), _mm_unpacklo_epi32(all[2], all[3])};
    const __m128i high[2] = {_mm_unpackhi_epi32(all[0], all[1]), _mm_unpackhi_epi32(all[2], all[3])};
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out), _mm_unpacklo_epi64(low[0], low[1]));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + plane), _mm_unpackhi_epi64(low[0], low[1]));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + 2 * plane), _mm_unpacklo_epi64(high[0], high[1]));
#elif defined(__aarch64__)
    static constexpr ChannelPlaces kPlaces = places_in_eights<kStep>();
    const auto two = [&](int i) { return vcombine_u8(vld1_u8(pixels[i]), vld1_u8(pixels[i + 1])); };
    mix_at(kPlaces, {{two(0), two(2)}}, shares, out, plane);
#else
    for (size_t i = 0; i < 4; ++i) {
        const int32_t fraction = shares[2 * i + 1];
        for (size_t c = 0; c < 3; ++c) out[c * plane + i] = mix(pixels[i][c], pixels[i][kStep + c], fraction);
    }
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
#elif defined(__aarch64__)
    // the sum is shifted in two steps, of which the first drops bits that do not change the rounding
    const auto mixed = [&](size_t at) {
        const int32x4_t a = vld1q_s32(top + at);
        const int32x4_t sum =
            vmlaq_n_s32(vshlq_n_s32(a, kFractionBits), vsubq_s32(vld1q_s32(bottom + at), a), fraction);
        return vreinterpretq_u32_s32(sum);
    };
    for (; i + 16 <= count; i += 16) {
        const uint16x8_t first = vshrn_high_n_u32(vshrn_n_u32(mixed(i), 16), mixed(i + 4), 16);
        const uint16x8_t second = vshrn_high_n_u32(vshrn_n_u32(mixed(i + 8), 16), mixed(i + 12), 16);
        constexpr int kLeft = 2 * kFractionBits - 16;
        vst1q_u8(out + i, vrshrn_high_n_u16(vrshrn_n_u16(first, kLeft), second, kLeft));
    }
#endif
    for (; i < count; ++i) {
        out[i] = static_cast<uint8_t>((mix(top[i], bottom[i], fraction) + kHalf) >> (2 * kFractionBits));
    }
}

}  // namespace pocketdet
