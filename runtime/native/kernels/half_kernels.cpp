// Kernels in half precision: compiled with +fp16, which only processors with asimdhp have.
#include <arm_neon.h>

#include "packed_kernels.h"

namespace pocketdet {
namespace {

struct HalfLanes {
    using Element = __fp16;
    using Vector = float16x8_t;
    static constexpr int kCount = 8;

    static Vector load(const Element* from) { return vld1q_f16(from); }
    static void store(Element* to, Vector v) { vst1q_f16(to, v); }
    static Vector splat(float value) { return vdupq_n_f16(static_cast<Element>(value)); }
    static Vector zip_low(Vector a, Vector b) { return vzip1q_f16(a, b); }
    static Vector zip_high(Vector a, Vector b) { return vzip2q_f16(a, b); }
    static Vector max(Vector a, Vector b) { return vmaxq_f16(a, b); }
    static Vector add_product(Vector sum, Vector a, Vector b) { return vfmaq_f16(sum, a, b); }
    // What add_scaled takes lanes of: only half of the registers can be indexed.
    static Vector load_indexed(const Element* from) {
        Vector v = vld1q_f16(from);
        asm("" : "+x"(v));
        return v;
    }
    // An instruction by name: for vfmaq_laneq GCC 12 copies the lane into a register of its own first.
    template <int lane>
    static Vector add_scaled(Vector sum, Vector a, Vector b) {
        asm("fmla %0.8h, %1.8h, %2.h[%3]" : "+w"(sum) : "w"(a), "x"(b), "n"(lane));
        return sum;
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

}  // namespace

const Kernels kHalfKernels = kernels_of<HalfLanes>();

}  // namespace pocketdet
