#include "sha256.h"

#include <algorithm>
#include <cstring>

namespace pocketdet {

void Sha256::update(const void* data, size_t size) {
    const uint8_t* bytes = static_cast<const uint8_t*>(data);
    total_ += size;
    while (size > 0) {
        if (pending_size_ == 0 && size >= 64) {
            add_sha256_blocks(state_, bytes, size / 64);
            bytes += size / 64 * 64, size %= 64;
            continue;
        }
        const size_t part = std::min(size, 64 - pending_size_);
        std::memcpy(pending_.data() + pending_size_, bytes, part);
        pending_size_ += part, bytes += part, size -= part;
        if (pending_size_ == 64) {
            add_sha256_blocks(state_, pending_.data(), 1);
            pending_size_ = 0;
        }
    }
}

std::string Sha256::finish() {
    const uint64_t bits = total_ * 8;
    const uint8_t one = 0x80;
    const uint8_t zero = 0;
    update(&one, 1);
    while (pending_size_ != 56) update(&zero, 1);
    uint8_t length[8];
    for (int i = 0; i < 8; ++i) length[i] = static_cast<uint8_t>(bits >> (56 - 8 * i));
    update(length, 8);
    std::string hex;
    for (const uint32_t word : state_) {
        for (int shift = 28; shift >= 0; shift -= 4) hex += "0123456789abcdef"[(word >> shift) & 15u];
    }
    return hex;
}

std::string sha256_of(const void* data, size_t size) {
    Sha256 hash;
    hash.update(data, size);
    return hash.finish();
}

}  // namespace pocketdet
