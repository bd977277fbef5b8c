#include "exif.h"

#include <cstring>

namespace pocketdet {

namespace {

constexpr uint8_t kApp1 = 0xe1, kStartOfScan = 0xda;
constexpr size_t kEntryBytes = 12;
constexpr uint32_t kOrientation = 0x0112;
constexpr char kSignature[] = "Exif\0";  // and the terminating zero: six bytes

// Unsigned numbers of a TIFF structure; 0 beyond its end, which no field here can have as a value.
class Tiff {
public:
    Tiff(const uint8_t* data, size_t size)
        : data_(data), size_(size), big_endian_(size > 1 && data[0] == 'M' && data[1] == 'M') {}

    uint32_t number(size_t at, size_t bytes) const {
        if (at > size_ || size_ - at < bytes) return 0;
        uint32_t value = 0;
        for (size_t i = 0; i < bytes; ++i) value = value << 8 | data_[at + (big_endian_ ? i : bytes - 1 - i)];
        return value;
    }
    bool is_valid() const { return (big_endian_ || std::memcmp(data_, "II", 2) == 0) && number(2, 2) == 42; }

private:
    const uint8_t* data_;
    size_t size_;
    bool big_endian_;
};

int orientation_of(const Tiff& tiff) {
    const size_t directory = tiff.number(4, 4);
    const uint32_t entries = tiff.number(directory, 2);
    for (uint32_t i = 0; i < entries; ++i) {
        const size_t entry = directory + 2 + i * kEntryBytes;
        if (tiff.number(entry, 2) != kOrientation) continue;
        const uint32_t value = tiff.number(entry + 8, 2);
        return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
    }
    return 1;
}

}  // namespace

int exif_orientation(const uint8_t* jpeg, size_t size) {
    // segments: 0xff, marker, length of two bytes that counts itself, content
    for (size_t at = 2; at + 4 <= size && jpeg[at] == 0xff && jpeg[at + 1] != kStartOfScan;) {
        if (jpeg[at + 1] == 0xff) {  // a fill byte
            ++at;
            continue;
        }
        const size_t length = size_t{jpeg[at + 2]} << 8 | jpeg[at + 3];
        if (length < 2 || size - at - 2 < length) return 1;
        const uint8_t* content = jpeg + at + 4;
        const size_t bytes = length - 2;
        if (jpeg[at + 1] == kApp1 && bytes >= sizeof kSignature + 8 &&
            std::memcmp(content, kSignature, sizeof kSignature) == 0) {
            const Tiff tiff(content + sizeof kSignature, bytes - sizeof kSignature);
            return tiff.is_valid() ? orientation_of(tiff) : 1;
        }
        at += 2 + length;
    }
    return 1;
}

}  // namespace pocketdet
