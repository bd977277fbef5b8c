// What the processor can do, for people who ask; no code of the core depends on it.
#pragma once

#include <string>
#include <vector>

namespace pocketdet {

// Names such as "avx2", "fma", "avx512vnni" or "neon", "fp16", "dotprod"; empty where the system does not tell.
std::vector<std::string> cpu_features();

}  // namespace pocketdet
