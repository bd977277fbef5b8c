// Kernels in float32.
#include <arm_neon.h>

#include "packed_kernels.h"
#include "single_powers.h"

namespace pocketdet {
namespace {

struct SingleLanes : SinglePowers {
    using Element = float;
    using Vector = float32x4_t;
    using Indexed = Vector;  // whose elements are factors
    static constexpr int kCount = 4, kStemPixels = 8, kProductPixels = 8, kDepthwisePixels = 10;
    static constexpr bool kJoinsRows = true;

    static Vector load(const Element* from) { return vld1q_f32(from); }
    static void store(Element* to, Vector v) { vst1q_f32(to, v); }
    static Vector splat(float value) { return vdupq_n_f32(value); }
    static Vector zip_low(Vector a, Vector b) { return vzip1q_f32(a, b); }
    static Vector zip_high(Vector a, Vector b) { return vzip2q_f32(a, b); }
    static Vector even(Vector a, Vector b) { return vuzp1q_f32(a, b); }
    static Vector odd(Vector a, Vector b) { return vuzp2q_f32(a, b); }
    static Vector max(Vector a, Vector b) { return vmaxq_f32(a, b); }
    static Vector min(Vector a, Vector b) { return vminq_f32(a, b); }
    static Vector add_product(Vector sum, Vector a, Vector b) { return vfmaq_f32(sum, a, b); }
    static Vector subtract_product(Vector sum, Vector a, Vector b) { return vfmsq_f32(sum, a, b); }
    static Indexed load_indexed(const Element* from) { return vld1q_f32(from); }
    // As in half precision.
    template <int lane>
    static Vector add_scaled(Vector sum, Vector a, Indexed b) {
        asm("fmla %0.4s, %1.4s, %2.s[%3]" : "+w"(sum) : "w"(a), "w"(b), "n"(lane));
        return sum;
    }
    static Vector add_to_exponent(Vector v, Vector rounded) {
        const int32x4_t whole = vshlq_n_s32(vreinterpretq_s32_f32(rounded), 23);
        return vreinterpretq_f32_s32(vaddq_s32(vreinterpretq_s32_f32(v), whole));
    }
    // Two steps of Newton's method.
    template <int count>
    static void invert(Vector (&x)[count]) {
        Vector guess[count];
        for (int k = 0; k < count; ++k) guess[k] = vrecpeq_f32(x[k]);
        for (int k = 0; k < count; ++k) guess[k] = guess[k] * vrecpsq_f32(x[k], guess[k]);
        for (int k = 0; k < count; ++k) x[k] = guess[k] * vrecpsq_f32(x[k], guess[k]);
    }
    static void convert(const float* from, int count, void* to) {
        float* out = static_cast<float*>(to);
        for (int i = 0; i < count; ++i) out[i] = from[i];
    }
};

}  // namespace

const Kernels kSingleKernels = kernels_of<SingleLanes>();

}  // namespace pocketdet
