#include "cpu.h"

#if defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif

namespace pocketdet {

#if defined(__x86_64__) || defined(__i386__)

std::vector<std::string> cpu_features() {
    std::vector<std::string> names;
    __builtin_cpu_init();
    if (__builtin_cpu_supports("sse4.2")) names.emplace_back("sse4.2");
    if (__builtin_cpu_supports("avx")) names.emplace_back("avx");
    if (__builtin_cpu_supports("avx2")) names.emplace_back("avx2");
    if (__builtin_cpu_supports("fma")) names.emplace_back("fma");
    if (__builtin_cpu_supports("avx512f")) names.emplace_back("avx512f");
    if (__builtin_cpu_supports("avx512bw")) names.emplace_back("avx512bw");
    if (__builtin_cpu_supports("avx512vl")) names.emplace_back("avx512vl");
    if (__builtin_cpu_supports("avx512vnni")) names.emplace_back("avx512vnni");
    return names;
}

#elif defined(__aarch64__) && defined(__linux__)

std::vector<std::string> cpu_features() {
    // Bits of the kernel's aarch64 ABI (asm/hwcap.h), written out because older headers lack the newer ones.
    const unsigned long hwcap = getauxval(AT_HWCAP);
    const unsigned long hwcap2 = getauxval(AT_HWCAP2);
    std::vector<std::string> names;
    if ((hwcap & (1ul << 1)) != 0) names.emplace_back("neon");
    if ((hwcap & (1ul << 10)) != 0) names.emplace_back("fp16");
    if ((hwcap & (1ul << 20)) != 0) names.emplace_back("dotprod");
    if ((hwcap & (1ul << 22)) != 0) names.emplace_back("sve");
    if ((hwcap2 & (1ul << 13)) != 0) names.emplace_back("i8mm");
    if ((hwcap2 & (1ul << 14)) != 0) names.emplace_back("bf16");
    return names;
}

#elif defined(__aarch64__)

std::vector<std::string> cpu_features() { return {"neon"}; }

#else

std::vector<std::string> cpu_features() { return {}; }

#endif

}  // namespace pocketdet
