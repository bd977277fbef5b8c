#include "precision.h"

#include <algorithm>

#include <ncnn/cpu.h>
#include <ncnn/option.h>

namespace pocketdet {

const char* name_of(Arithmetic arithmetic) { return kArithmetics.begin()[static_cast<size_t>(arithmetic)]; }

Arithmetic arithmetic_of(const std::string& name) {
    const auto* found = std::find(kArithmetics.begin(), kArithmetics.end(), name);
    return found == kArithmetics.end() ? Arithmetic::fp32 : static_cast<Arithmetic>(found - kArithmetics.begin());
}

Arithmetic arithmetic_in_use(Arithmetic asked) {
#if defined(__aarch64__)
    const bool possible = asked == Arithmetic::bf16_storage || ncnn::cpu_support_arm_asimdhp() != 0;
#else
    const bool possible = false;
#endif
    return possible ? asked : Arithmetic::fp32;
}

std::string why_other(Arithmetic asked, Arithmetic used) {
    if (asked == used) return "";
    const char* needs =
        asked == Arithmetic::bf16_storage ? "a 64-bit ARM processor" : "an ARMv8.2 processor with asimdhp";
    const std::string name = name_of(asked);
    return name + " was requested and " + name_of(used) + " is in use: " + name + " needs ncnn on " + needs;
}

void set_arithmetic(ncnn::Option& option, Arithmetic arithmetic) {
    const bool half = arithmetic == Arithmetic::fp16 || arithmetic == Arithmetic::fp16_storage;
    option.use_fp16_packed = half;
    option.use_fp16_storage = half;
    option.use_fp16_arithmetic = arithmetic == Arithmetic::fp16;
    option.use_bf16_packed = arithmetic == Arithmetic::bf16_storage;
    option.use_bf16_storage = arithmetic == Arithmetic::bf16_storage;
}

}  // namespace pocketdet
