// Kernels in int8: compiled with +fp16+dotprod, which only processors with asimdhp and asimddp have. What is included
// here must not emit functions with external linkage, which the linker could use for the whole program.
#include "byte_kernels.h"

#include <arm_neon.h>

#include <utility>

namespace pocketdet {
namespace {

// Calls of a function with 0, 1, ... count - 1, which GCC unrolls before it looks for arrays to keep in registers.
template <int... numbers, class Function>
inline void for_all(std::integer_sequence<int, numbers...>, Function function) {
    (function(std::integral_constant<int, numbers>()), ...);
}

template <int count, class Function>
inline void for_numbers(Function function) {
    for_all(std::make_integer_sequence<int, count>(), function);
}

// A load that stays where it is: GCC would copy a register instead, which takes the units that multiply, or join two
// loads, which is slow on a Cortex-A55.
template <class Vector, class Element>
inline Vector loaded(const Element* from) {
    Vector value;
    asm volatile("ldr %q0, %1" : "=w"(value) : "m"(*reinterpret_cast<const Vector*>(from)));
    return value;
}

// Conversions take most of the time that is not spent on products, one vector in 2 to 4 cycles on a Cortex-A76. A
// number between a power of two and the next has fixed positions of its bits: adding 1536 to a half rounds it to an
// integer in its last bits, and an integer that is added to the bits of such a number is one of its multiples.

constexpr __fp16 kRounding[8] = {1536, 1536, 1536, 1536, 1536, 1536, 1536, 1536};
constexpr std::int16_t kRoundingBits = 0x6600;  // of one of them

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

// `count` vectors of halves times `scale`, as integers in 16 bits, which saturate.
template <int count>
inline void round_all(const __fp16* from, float16x8_t scale, int16x8_t* to) {
    float16x8_t sums[count];
    for_numbers<count>([&](auto k) { sums[k] = loaded<float16x8_t>(kRounding); });
    for_numbers<count>([&](auto k) { sums[k] = vfmaq_f16(sums[k], vld1q_f16(from + 8 * k), scale); });
    for_numbers<count>([&](auto k) { to[k] = vqsubq_s16(vreinterpretq_s16_f16(sums[k]), vdupq_n_s16(kRoundingBits)); });
}

void quantize(const void* halves, std::size_t count, float scale, std::int8_t* to) {
    const auto* from = static_cast<const __fp16*>(halves);
    const float16x8_t scales = vdupq_n_f16(static_cast<__fp16>(scale));
    const int8x16_t lowest = vdupq_n_s8(-127);
    std::size_t i = 0;
    for (; i + 32 <= count; i += 32) {
        int16x8_t parts[4];
        round_all<4>(from + i, scales, parts);
        const int8x8_t first = vqmovn_s16(parts[0]), second = vqmovn_s16(parts[2]);
        vst1q_s8(to + i, vmaxq_s8(vqmovn_high_s16(first, parts[1]), lowest));
        vst1q_s8(to + i + 16, vmaxq_s8(vqmovn_high_s16(second, parts[3]), lowest));
    }
    const auto eight = [&](const __fp16* values) {
        int16x8_t part[1];
        round_all<1>(values, scales, part);
        return vmax_s8(vqmovn_s16(part[0]), vget_low_s8(lowest));
    };
    for (; i + 8 <= count; i += 8) vst1_s8(to + i, eight(from + i));
    if (i == count) return;
    __fp16 last[8] = {};
    for (std::size_t k = i; k < count; ++k) last[k - i] = from[k];
    const int8x8_t bytes = eight(last);
    for (std::size_t k = i; k < count; ++k) to[k] = bytes[k - i];
}

// Sums of at most kSmallBlocks blocks begin with the bits of 3 * 2^22 times `kUnit`: a sum stays within 2^22, and
// (sum + 3 * 2^22) * kUnit is the float with the bits. A float times 2^-112 has the exponent of a half and its bits
// from 13 on: narrowing with saturation at 0 converts it, with ReLU.
constexpr int kSmallBlocks = 32;  // 127 * 127 * 8 * 32 < 2^22

template <bool relu>
struct SmallSums {
    static constexpr std::int32_t kFirst = relu ? 0x13400000 : 0x4B400000;
    static constexpr float kUnit = relu ? 0x1p-112f : 1.f, kOffset = 0x3p22f * kUnit;
};

// An instruction by name: with the intrinsic GCC 12 exchanges registers in the loop.
template <int lane>
inline int32x4_t dot(int32x4_t sum, int8x16_t weights, int8x8_t values) {
    asm("sdot %0.4s, %1.16b, %2.4b[%3]" : "+w"(sum) : "w"(weights), "w"(values), "n"(lane));
    return sum;
}

template <bool by_bits>
inline float16x4_t narrowed(float32x4_t low) {
    if constexpr (by_bits) return vreinterpret_f16_u16(vqrshrun_n_s32(vreinterpretq_s32_f32(low), 13));
    return vcvt_f16_f32(low);
}

template <bool by_bits>
inline float16x8_t joined(float16x4_t low, float32x4_t high) {
    if constexpr (by_bits) {
        const uint16x4_t bits = vreinterpret_u16_f16(low);
        return vreinterpretq_f16_u16(vqrshrun_high_n_s32(bits, vreinterpretq_s32_f32(high), 13));
    }
    return vcvt_high_f16_f32(low, high);
}

// 8 outputs.
struct Group {
    const std::int8_t* weights;
    const float* scales;
    float offsets[kByteBlock];
    __fp16* out;
};

template <int pixels, bool small, bool relu, bool is_map>
inline void product_tile(const ByteProduct& product, const Group& group, int x) {
    int32x4_t low[pixels], high[pixels];  // sums of 4 outputs and of the other 4
    for_numbers<pixels>([&](auto p) { low[p] = high[p] = vdupq_n_s32(small ? SmallSums<relu>::kFirst : 0); });
    const std::ptrdiff_t stride = is_map ? kByteBlock : product.pixel_stride;
    const std::int8_t* from = product.from + x * stride;
    const std::int8_t* weights = group.weights;
    for (int b = 0; b < product.blocks; ++b, from += product.block_stride, weights += 64) {
        int8x16_t weight = loaded<int8x16_t>(weights);
        int8x8_t values[pixels];
        for_numbers<pixels>([&](auto p) { values[p] = vld1_s8(from + p * stride); });
        for_numbers<4>([&](auto quarter) {
            const int8x16_t next = quarter < 3 ? loaded<int8x16_t>(weights + 16 * (quarter + 1)) : weight;
            int32x4_t* const sums = quarter % 2 == 0 ? low : high;
            for_numbers<pixels>([&](auto p) { sums[p] = dot<quarter / 2>(sums[p], weight, values[p]); });
            weight = next;
        });
    }
    const float32x4_t low_scale = vld1q_f32(group.scales), high_scale = vld1q_f32(group.scales + 4);
    const std::ptrdiff_t out_stride = is_map ? kByteBlock : product.out_pixel_stride;
    __fp16* const to = group.out + x * out_stride;
    const auto as_float = [](int32x4_t sum) { return small ? vreinterpretq_f32_s32(sum) : vcvtq_f32_s32(sum); };
    for_numbers<(pixels + 3) / 4>([&](auto part) {  // of 4 pixels, so that none waits for its last operation
        constexpr int first = 4 * part, count = pixels < 4 ? pixels : 4;
        float32x4_t low_results[count], high_results[count];
        for_numbers<count>([&](auto p) {
            low_results[p] = loaded<float32x4_t>(group.offsets),
            high_results[p] = loaded<float32x4_t>(group.offsets + 4);
        });
        for_numbers<count>([&](auto p) {
            low_results[p] = vfmaq_f32(low_results[p], as_float(low[first + p]), low_scale);
            high_results[p] = vfmaq_f32(high_results[p], as_float(high[first + p]), high_scale);
        });
        float16x4_t half[count];
        for_numbers<count>([&](auto p) { half[p] = narrowed < small && relu > (low_results[p]); });
        for_numbers<count>([&](auto p) {
            const float16x8_t both = joined < small && relu > (half[p], high_results[p]);
            vst1q_f16(to + (first + p) * out_stride, relu && !small ? vmaxq_f16(both, vdupq_n_f16(0)) : both);
        });
    });
}

template <bool small, bool relu>
Group group_of(const ByteProduct& product, int g) {
    const int first = g * kByteBlock;
    Group group{product.weights + static_cast<std::ptrdiff_t>(first) * product.blocks * kByteBlock,
                product.scales + first,
                {},
                static_cast<__fp16*>(product.out) + g * product.out_group_stride};
    for (int k = 0; k < kByteBlock; k += 4) {
        const float32x4_t bias = vld1q_f32(product.bias + first + k), scale = vld1q_f32(group.scales + k);
        const float32x4_t small_offset =
            vfmsq_n_f32(vmulq_n_f32(bias, SmallSums<relu>::kUnit), scale, SmallSums<relu>::kOffset);
        vst1q_f32(group.offsets + k, small ? small_offset : bias);
    }
    return group;
}

template <bool small, bool relu, bool is_map>
void product_groups(const ByteProduct& product) {
    for (int g = 0; g < product.groups; ++g) {
        const Group group = group_of<small, relu>(product, g);
        int x = 0;
        for (; x + 8 <= product.pixels; x += 8) product_tile<8, small, relu, is_map>(product, group, x);
        if (x + 4 <= product.pixels) product_tile<4, small, relu, is_map>(product, group, x), x += 4;
        for (; x < product.pixels; ++x) product_tile<1, small, relu, is_map>(product, group, x);
    }
}

template <bool small, bool relu>
void product_in_layout(const ByteProduct& product) {
    const bool is_map = product.pixel_stride == kByteBlock && product.out_pixel_stride == kByteBlock;
    is_map ? product_groups<small, relu, true>(product) : product_groups<small, relu, false>(product);
}

void product(const ByteProduct& product) {
    if (product.blocks > kSmallBlocks) {
        product.relu ? product_in_layout<false, true>(product) : product_in_layout<false, false>(product);
    } else {
        product.relu ? product_in_layout<true, true>(product) : product_in_layout<true, false>(product);
    }
}

}  // namespace

const ByteKernels kByteKernels = {largest, quantize, product};

}  // namespace pocketdet
