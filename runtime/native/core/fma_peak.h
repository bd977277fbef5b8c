// The fastest that one thread of this processor multiplies and adds: what inference times are held against.
#pragma once

#include <string>

namespace pocketdet {

struct FmaPeak {
    double gflops = 0;  // 10^9 float32 operations a second; a fused multiply-add is two of them
    std::string instructions;  // what did it: "avx512f", "avx2+fma", "neon", or "c++" where none of them is known
};

// Independent multiply-adds on registers, no memory: the best of `runs` runs of about a millisecond each, for
// every instruction set that the processor has and this file knows, and of those the best again. The best of
// several because another program can only make a run slower. `runs` is at least 1.
FmaPeak measure_fma_peak(int runs);

}  // namespace pocketdet
