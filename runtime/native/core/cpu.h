// Properties of the processor for reports and benchmarks. No other file of the core depends on them.
#pragma once

#include <string>
#include <vector>

namespace pocketdet {

// Names of instruction sets such as "avx2", "fma", "avx512vnni" or "neon", "fp16", "dotprod". Empty on systems that do
// not report them.
std::vector<std::string> cpu_features();

struct FmaPeak {
    double gflops = 0;         // 10^9 float32 operations per second; one fused multiply-add counts as two
    std::string instructions;  // the instruction set: "avx512f", "avx2+fma", "neon", or "c++" if none of these exists
};

// Measures the peak float32 multiply-add rate of one thread: independent operations on registers, without memory
// access. Each supported instruction set is timed `runs` times for about one millisecond; the result is the fastest
// run of the fastest set, because other programs can only slow a run down.
//
// runs: at least 1.
FmaPeak measure_fma_peak(int runs);

}  // namespace pocketdet
