// libFuzzer: the safetensors file of the golden stages.
#include "fuzz_target.h"
#include "golden.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    return pocketdet::read_or_refuse(data, size, [](const std::vector<uint8_t>& bytes) {
        for (const auto& [name, array] : pocketdet::parse_safetensors(bytes, "stages.safetensors")) {
            if (array.values().size() != array.size()) std::abort();
        }
    });
}
