// libFuzzer: an image file, JPEG, PNG or PPM.
#include "fuzz_target.h"
#include "image_file.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    constexpr int64_t kMaxPixels = int64_t{1} << 20;
    return pocketdet::read_or_refuse(data, size, [](const std::vector<uint8_t>& bytes) {
        const pocketdet::Image image = pocketdet::decode_image(bytes, "image.png", kMaxPixels);
        const size_t expected = size_t{3} * static_cast<size_t>(image.width) * static_cast<size_t>(image.height);
        if (image.pixels.size() != expected) std::abort();
    });
}
