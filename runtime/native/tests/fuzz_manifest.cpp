// libFuzzer: manifest.json of any bundle.
#include "fuzz_target.h"
#include "manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    return pocketdet::read_or_refuse(
        data, size, [](const std::vector<uint8_t>& bytes) { pocketdet::parse_manifest(bytes, "manifest.json"); });
}
