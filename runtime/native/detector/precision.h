// What layers compute in. Terms of runtime/precision.py, explained in docs/explanation/precision.md.
#pragma once

#include <initializer_list>
#include <string>

namespace ncnn {
class Option;
}  // namespace ncnn

namespace pocketdet {

// From the widest to the narrowest. How weights are stored is another matter: Manifest::weight_storage.
enum class Arithmetic { fp32, fp16_storage, fp16, bf16_storage };

constexpr std::initializer_list<const char*> kArithmetics = {"fp32", "fp16-storage", "fp16", "bf16-storage"};

const char* name_of(Arithmetic arithmetic);

// The arithmetic of one of the names above.
Arithmetic arithmetic_of(const std::string& name);

// What ncnn computes in on this processor if `asked` is asked of it: half precision needs ARMv8.2, bfloat16 storage a
// 64-bit ARM processor; elsewhere fp32.
Arithmetic arithmetic_in_use(Arithmetic asked);

// Explains in one sentence why the arithmetic in use is not the requested one; empty if it is.
std::string why_other(Arithmetic asked, Arithmetic used);

// Sets every precision option of ncnn that concerns a processor.
void set_arithmetic(ncnn::Option& option, Arithmetic arithmetic);

}  // namespace pocketdet
