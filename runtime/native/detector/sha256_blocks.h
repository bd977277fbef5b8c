// What SHA-256 does with whole blocks of 64 bytes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace pocketdet {

using Sha256State = std::array<uint32_t, 8>;

// Adds `count` blocks, with the processor's own instructions if it has them.
void add_sha256_blocks(Sha256State& state, const uint8_t* blocks, size_t count);

// The same without them.
void add_sha256_blocks_plain(Sha256State& state, const uint8_t* blocks, size_t count);

}  // namespace pocketdet
