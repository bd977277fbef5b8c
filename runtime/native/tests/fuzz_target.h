// What all fuzz targets promise: untrusted bytes end in a value or in one sentence, an Error. See
// tests/hostile/README.md.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "errors.h"

namespace pocketdet {

template <typename Read>
int read_or_refuse(const uint8_t* data, size_t size, Read read) {
    try {
        read(std::vector<uint8_t>(data, data + size));
    } catch (const Error& error) {
        const std::string sentence = error.what();
        if (sentence.empty() || sentence.find('\n') != std::string::npos || sentence.size() > 2000) std::abort();
    }
    return 0;
}

}  // namespace pocketdet

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
