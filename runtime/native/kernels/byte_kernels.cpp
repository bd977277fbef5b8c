// Kernels in int8: compiled with +fp16+dotprod, which only processors with asimdhp and asimddp have. What is included
// here must not emit functions with external linkage, which the linker could use for the whole program.
#include "byte_kernels.h"

#include <arm_neon.h>

#include <utility>

namespace pocketdet {
namespace {

// Conversions take most of the time that is not spent on products, one vector in 2 to 4 cycles on a Cortex-A76. A
// number between a power of two and the next has fixed positions of its bits: adding 1536 to a half rounds it to an
// integer in its last bits, and an integer that is added to the bits of such a number is one of its multiples.

constexpr std::int16_t kRoundingBits = 0x6600;  // of 1536 in half precision

float largest(const void* halves, std::size_t count) {
    const auto* from = static_cast<const __fp16*>(halves);
    float16x8_t highest = vdupq_n_f16(0);
    std::size_t i = 0;
    for (; i + 8 <= count; i += 8) highest = vmaxq_f16(highest, vabsq_f16(vld1q_f16(from + i)));
    float all = vmaxvq_f16(highest);
    for (; i < count; ++i) {
        const float one = from[i] < 0 ? -from[i] : from[i];
        if (one > all) all = one;
    }
    return all;
}

// Integers in 16 bits, which saturate.
inline int16x8_t rounded(float16x8_t values, float16x8_t scale) {
    const float16x8_t sum = vfmaq_f16(vdupq_n_f16(1536), values, scale);
    return vqsubq_s16(vreinterpretq_s16_f16(sum), vdupq_n_s16(kRoundingBits));
}

void quantize(const void* halves, std::size_t count, float scale, std::int8_t* to) {
    const auto* from = static_cast<const __fp16*>(halves);
    const float16x8_t scales = vdupq_n_f16(static_cast<__fp16>(scale));
    const int8x16_t lowest = vdupq_n_s8(-127);
    std::size_t i = 0;
    for (; i + 16 <= count; i += 16) {
        const int8x8_t low = vqmovn_s16(rounded(vld1q_f16(from + i), scales));
        const int8x16_t both = vqmovn_high_s16(low, rounded(vld1q_f16(from + i + 8), scales));
        vst1q_s8(to + i, vmaxq_s8(both, lowest));
    }
    const auto eight = [&](const __fp16* values) {
        return vmax_s8(vqmovn_s16(rounded(vld1q_f16(values), scales)), vget_low_s8(lowest));
    };
    for (; i + 8 <= count; i += 8) vst1_s8(to + i, eight(from + i));
    if (i == count) return;
    __fp16 last[8] = {};
    for (std::size_t k = i; k < count; ++k) last[k - i] = from[k];
    const int8x8_t bytes = eight(last);
    for (std::size_t k = i; k < count; ++k) to[k] = bytes[k - i];
}

// Sums of at most kSmallBlocks blocks begin at these bits: a sum stays within 2^22, and sum + 3 * 2^22 times 2^-112 is
// the float with the bits. As a float times 2^-112 has the exponent of a half, its bits from 13 on are those of the
// half, and narrowing with saturation at 0 is ReLU as well.
constexpr int kSmallBlocks = 32;  // 127 * 127 * 8 * 32 < 2^22
constexpr std::int32_t kSumBits = 0x13400000;
constexpr float kOfHalves = 0x1p-112f, kSumOffset = 0x3p-90f;

// Calls of a function with the numbers of pixels, which GCC unrolls before it looks for arrays to keep in registers.
template <int... numbers, class Function>
inline void for_numbers(std::integer_sequence<int, numbers...>, Function function) {
    (function(std::integral_constant<int, numbers>()), ...);
}

template <int pixels, class Function>
inline void for_pixels(Function function) {
    for_numbers(std::make_integer_sequence<int, pixels>(), function);
}

// An instruction by name: with the intrinsic GCC 12 exchanges registers in the loop.
template <int lane>
inline int32x4_t dot(int32x4_t sum, int8x16_t weights, int8x8_t values) {
    asm("sdot %0.4s, %1.16b, %2.4b[%3]" : "+w"(sum) : "w"(weights), "w"(values), "n"(lane));
    return sum;
}

template <bool narrows>
inline float32x4_t result(int32x4_t sum, float32x4_t scale, float32x4_t offset) {
    return vfmaq_f32(offset, narrows ? vreinterpretq_f32_s32(sum) : vcvtq_f32_s32(sum), scale);
}

template <int pixels, bool narrows>
inline void product_tile(const ByteProduct& product, int group, int x) {
    int32x4_t low[pixels], high[pixels];  // sums of 4 outputs and of the other 4
    for_pixels<pixels>([&](auto p) { low[p] = high[p] = vdupq_n_s32(narrows ? kSumBits : 0); });
    const std::int8_t* from = product.from + x * product.pixel_stride;
    const std::int8_t* weights = product.weights + static_cast<std::ptrdiff_t>(group) * product.blocks * 64;
    for (int b = 0; b < product.blocks; ++b, from += product.block_stride, weights += 64) {
        int8x8_t values[pixels];
        for_pixels<pixels>([&](auto p) { values[p] = vld1_s8(from + p * product.pixel_stride); });
        const int8x16_t low_first = vld1q_s8(weights), high_first = vld1q_s8(weights + 16);
        for_pixels<pixels>([&](auto p) { low[p] = dot<0>(low[p], low_first, values[p]); });
        for_pixels<pixels>([&](auto p) { high[p] = dot<0>(high[p], high_first, values[p]); });
        const int8x16_t low_second = vld1q_s8(weights + 32), high_second = vld1q_s8(weights + 48);
        for_pixels<pixels>([&](auto p) { low[p] = dot<1>(low[p], low_second, values[p]); });
        for_pixels<pixels>([&](auto p) { high[p] = dot<1>(high[p], high_second, values[p]); });
    }
    float32x4_t scales[2], offsets[2];
    for (int h = 0; h < 2; ++h) {
        scales[h] = vld1q_f32(product.scales + kByteBlock * group + 4 * h);
        offsets[h] = vld1q_f32(product.bias + kByteBlock * group + 4 * h);
        if (narrows) offsets[h] = vfmsq_n_f32(vmulq_n_f32(offsets[h], kOfHalves), scales[h], kSumOffset);
    }
    const std::ptrdiff_t stride = product.out_pixel_stride;
    const bool relu = product.relu;
    auto* const to = static_cast<__fp16*>(product.out) + group * product.out_group_stride + x * stride;
    for_pixels<pixels>([&](auto p) {
        const float32x4_t first = result<narrows>(low[p], scales[0], offsets[0]),
                          second = result<narrows>(high[p], scales[1], offsets[1]);
        float16x8_t both;
        if (narrows) {
            const uint16x4_t four = vqrshrun_n_s32(vreinterpretq_s32_f32(first), 13);
            both = vreinterpretq_f16_u16(vqrshrun_high_n_s32(four, vreinterpretq_s32_f32(second), 13));
        } else {
            both = vcvt_high_f16_f32(vcvt_f16_f32(first), second);
            if (relu) both = vmaxq_f16(both, vdupq_n_f16(0));
        }
        vst1q_f16(to + p * stride, both);
    });
}

template <bool narrows>
void product_groups(const ByteProduct& product) {
    for (int g = 0; g < product.groups; ++g) {
        int x = 0;
        for (; x + 8 <= product.pixels; x += 8) product_tile<8, narrows>(product, g, x);
        if (x + 4 <= product.pixels) product_tile<4, narrows>(product, g, x), x += 4;
        for (; x < product.pixels; ++x) product_tile<1, narrows>(product, g, x);
    }
}

void product(const ByteProduct& product) {
    product.relu&& product.blocks <= kSmallBlocks ? product_groups<true>(product) : product_groups<false>(product);
}

}  // namespace

const ByteKernels kByteKernels = {largest, quantize, product};

}  // namespace pocketdet
