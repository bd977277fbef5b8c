// (byte - mean) / std of a row: from the table of all bytes, or four at a time without a division where that gives the
// same floats.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "resize.h"

#if defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace pocketdet {

#if defined(__aarch64__)
// Bytes 4 * i to 4 * i + 3 of a vector as 4 floats plus 2^23, which have the integer in their last bits. `kZero` and
// `kExponent` are elements of the vector behind it.
template <uint8_t kZero, uint8_t kExponent>
struct FloatOrder {
    constexpr FloatOrder() {
        for (uint8_t k = 0; k < 16; ++k) {
            bytes[k][0] = k;
            bytes[k][1] = bytes[k][2] = kZero;
            bytes[k][3] = kExponent;
        }
    }
    uint8_t bytes[16][4]{};
};

// Channel `c` of 16 bytes: a product with the reciprocal, and its correction by what is left over (Markstein 1990).
class Quotients {
public:
    Quotients(const NormaliseTable& table, size_t c)
        : mean_(vdupq_n_f32(table.mean[c])),
          std_(vdupq_n_f32(table.std[c])),
          reciprocal_(vdupq_n_f32(1 / table.std[c])) {}

    void write(const uint8_t* bytes, float* out) const {
        static constexpr FloatOrder<16, 17> kOrder;  // 0x4B00 is the exponent of 2^23
        const uint8x16x2_t source = {{vld1q_u8(bytes), vreinterpretq_u8_u16(vdupq_n_u16(0x4B00))}};
        for (int i = 0; i < 4; ++i) {
            const float32x4_t shifted = vreinterpretq_f32_u8(vqtbl2q_u8(source, vld1q_u8(kOrder.bytes[4 * i])));
            const float32x4_t difference = vsubq_f32(vsubq_f32(shifted, vdupq_n_f32(0x1p23f)), mean_);
            const float32x4_t guess = vmulq_f32(difference, reciprocal_);
            vst1q_f32(out + 4 * i, vfmaq_f32(guess, vfmsq_f32(difference, guess, std_), reciprocal_));
        }
    }

private:
    float32x4_t mean_, std_, reciprocal_;
};

// Whether Quotients has the floats of the table.
inline bool are_products(const NormaliseTable& table, size_t c) {
    const Quotients quotients(table, c);
    for (int first = 0; first < 256; first += 16) {
        uint8_t bytes[16];
        for (int i = 0; i < 16; ++i) bytes[i] = static_cast<uint8_t>(first + i);
        float floats[16];
        quotients.write(bytes, floats);
        if (std::memcmp(floats, table.values[c] + first, sizeof floats) != 0) return false;
    }
    return true;
}
#else
inline bool are_products(const NormaliseTable&, size_t) { return false; }
#endif

// out[x] = table.values[c][bytes[x]] for x < width.
inline void normalise_bytes(const uint8_t* bytes, size_t width, const NormaliseTable& table, size_t c, float* out) {
    size_t x = 0;
#if defined(__aarch64__)
    if (table.has_products[c]) {
        const Quotients quotients(table, c);
        for (; x + 16 <= width; x += 16) quotients.write(bytes + x, out + x);
    }
#endif
    for (; x + 4 <= width; x += 4) {  // four at a time, so that a processor that executes in order need not wait
        float four[4];
        for (size_t i = 0; i < 4; ++i) four[i] = table.values[c][bytes[x + i]];
        std::memcpy(out + x, four, sizeof four);
    }
    for (; x < width; ++x) out[x] = table.values[c][bytes[x]];
}

}  // namespace pocketdet
