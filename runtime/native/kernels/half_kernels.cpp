// Kernels in half precision: compiled with +fp16, which only processors with asimdhp have.
#include <arm_neon.h>

#include "packed_kernels.h"

namespace pocketdet {
namespace {

struct HalfLanes {
    using Element = __fp16;
    using Vector = float16x8_t;
    using Indexed = Vector;  // whose elements are factors
    static constexpr int kCount = 8, kStemPixels = 8, kProductPixels = 8, kDepthwisePixels = 10;
    static constexpr bool kJoinsRows = true;

    static Vector load(const Element* from) { return vld1q_f16(from); }
    static void store(Element* to, Vector v) { vst1q_f16(to, v); }
    static Vector splat(float value) { return vdupq_n_f16(static_cast<Element>(value)); }
    static Vector zip_low(Vector a, Vector b) { return vzip1q_f16(a, b); }
    static Vector zip_high(Vector a, Vector b) { return vzip2q_f16(a, b); }
    static Vector even(Vector a, Vector b) { return vuzp1q_f16(a, b); }
    static Vector odd(Vector a, Vector b) { return vuzp2q_f16(a, b); }
    static Vector max(Vector a, Vector b) { return vmaxq_f16(a, b); }
    static Vector min(Vector a, Vector b) { return vminq_f16(a, b); }
    static Vector add_product(Vector sum, Vector a, Vector b) { return vfmaq_f16(sum, a, b); }
    static Vector subtract_product(Vector sum, Vector a, Vector b) { return vfmsq_f16(sum, a, b); }
    // What add_scaled takes lanes of: only half of the registers can be indexed.
    static Indexed load_indexed(const Element* from) {
        Vector v = vld1q_f16(from);
        asm("" : "+x"(v));
        return v;
    }
    // An instruction by name: for vfmaq_laneq GCC 12 copies the lane into a register of its own first.
    template <int lane>
    static Vector add_scaled(Vector sum, Vector a, Indexed b) {
        asm("fmla %0.8h, %1.8h, %2.h[%3]" : "+w"(sum) : "w"(a), "x"(b), "n"(lane));
        return sum;
    }
    // Of sigmoids: the largest argument whose exp is a half, what added to a number rounds it to an integer in its last
    // bits, and the coefficients of 2^-x for -0.5 to 0.5.
    static constexpr float kMostSigmoid = 10.39f, kRounding = 1536;
    static constexpr float kPowers[] = {-.0555041f, .2402265f, -.6931472f, 1};
    static Vector add_to_exponent(Vector v, Vector rounded) {
        const int16x8_t whole = vshlq_n_s16(vreinterpretq_s16_f16(rounded), 10);
        return vreinterpretq_f16_s16(vaddq_s16(vreinterpretq_s16_f16(v), whole));
    }
    // One step of Newton's method.
    template <int count>
    static void invert(Vector (&x)[count]) {
        Vector guess[count];
        for (int k = 0; k < count; ++k) guess[k] = vrecpeq_f16(x[k]);
        for (int k = 0; k < count; ++k) x[k] = vrecpsq_f16(x[k], guess[k]);
        for (int k = 0; k < count; ++k) x[k] = x[k] * guess[k];
    }
    static void convert(const float* from, int count, void* to) {
        Element* out = static_cast<Element*>(to);
        int i = 0;
        for (; i + 8 <= count; i += 8) {
            const float16x4_t low = vcvt_f16_f32(vld1q_f32(from + i));
            vst1q_f16(out + i, vcvt_high_f16_f32(low, vld1q_f32(from + i + 4)));
        }
        for (; i < count; ++i) out[i] = static_cast<Element>(from[i]);
    }
};

using Square = HalfLanes::Vector[8];

// One step rotates the bits of an element's place in the square by one; three exchange rows and columns.
inline void shuffle(Square& square) {
    Square next;
    for (int i = 0; i < 4; ++i) {
        next[2 * i] = HalfLanes::zip_low(square[i], square[i + 4]);
        next[2 * i + 1] = HalfLanes::zip_high(square[i], square[i + 4]);
    }
    for (int i = 0; i < 8; ++i) square[i] = next[i];
}

// `planes` is 8 if `is_whole`: a comparison for each of them would be a third of the time.
template <bool is_whole>
int squares_to_planes(const __fp16* from, int pixels, int planes, float* to, std::ptrdiff_t plane_stride) {
    int x = 0;
    for (; x + 8 <= pixels; x += 8) {
        Square square;
        for (int i = 0; i < 8; ++i) square[i] = HalfLanes::load(from + (x + i) * 8);
        for (int step = 0; step < 3; ++step) shuffle(square);
        float* plane = to + x;
        for (int i = 0; i < 8; ++i, plane += plane_stride) {
            if (!is_whole && i == planes) break;
            vst1q_f32(plane, vcvt_f32_f16(vget_low_f16(square[i])));
            vst1q_f32(plane + 4, vcvt_high_f32_f16(square[i]));
        }
    }
    return x;
}

void to_planes(const void* group, int pixels, int planes, float* to, std::ptrdiff_t plane_stride) {
    const auto* const from = static_cast<const __fp16*>(group);
    int x = planes == 8 ? squares_to_planes<true>(from, pixels, planes, to, plane_stride)
                        : squares_to_planes<false>(from, pixels, planes, to, plane_stride);
    for (; x < pixels; ++x) {
        for (int i = 0; i < planes; ++i) to[i * plane_stride + x] = static_cast<float>(from[x * 8 + i]);
    }
}

void mean(const void* group, int pixels, void* to) {
    const auto* const from = static_cast<const __fp16*>(group);
    float32x4_t low = vdupq_n_f32(0), high = low;
    for (int x = 0; x < pixels; ++x) {
        const float16x8_t values = HalfLanes::load(from + x * 8);
        low = vaddq_f32(low, vcvt_f32_f16(vget_low_f16(values)));
        high = vaddq_f32(high, vcvt_high_f32_f16(values));
    }
    const float32x4_t count = vdupq_n_f32(static_cast<float>(pixels));
    const float16x4_t first = vcvt_f16_f32(vdivq_f32(low, count));
    HalfLanes::store(static_cast<__fp16*>(to), vcvt_high_f16_f32(first, vdivq_f32(high, count)));
}

constexpr Kernels half_kernels() {
    Kernels kernels = kernels_of<HalfLanes>();
    kernels.to_planes = to_planes;
    kernels.mean = mean;
    return kernels;
}

}  // namespace

const Kernels kHalfKernels = half_kernels();

}  // namespace pocketdet
