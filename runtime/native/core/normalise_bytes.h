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
// Channel `c` of 16 bytes: products with the reciprocal, whose rounding error is added as a second product (Brisebarre,
// Muller and Raina 2004).
class Quotients {
public:
    Quotients(const NormaliseTable& table, size_t c)
        : mean_(vdupq_n_f32(table.mean[c])),
          reciprocal_(vdupq_n_f32(1 / table.std[c])),
          error_(vdupq_n_f32(static_cast<float>(1 / static_cast<double>(table.std[c]) - 1 / table.std[c]))) {}

    void write(const uint8_t* bytes, float* out) const {
        const uint8x16_t source = vld1q_u8(bytes), zeros = vdupq_n_u8(0);
        const uint8x16_t halves[2] = {vzip1q_u8(source, zeros), vzip2q_u8(source, zeros)};
        const uint16x8_t exponents = vdupq_n_u16(0x4B00);  // of 2^23, which has an integer in its last bits
        for (int i = 0; i < 2; ++i) {
            const uint16x8_t eight = vreinterpretq_u16_u8(halves[i]);
            vst1q_f32(out + 8 * i, quotients(vzip1q_u16(eight, exponents)));
            vst1q_f32(out + 8 * i + 4, quotients(vzip2q_u16(eight, exponents)));
        }
    }

private:
    float32x4_t quotients(uint16x8_t shifted) const {
        const float32x4_t values = vsubq_f32(vreinterpretq_f32_u16(shifted), vdupq_n_f32(0x1p23f));
        const float32x4_t differences = vsubq_f32(values, mean_);
        return vfmaq_f32(vmulq_f32(differences, error_), differences, reciprocal_);
    }

    float32x4_t mean_, reciprocal_, error_;
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
