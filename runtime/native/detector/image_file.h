// Images from files: JPEG, PNG, binary PPM, and raw pixels whose size the caller knows.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "image.h"

namespace pocketdet {

struct Image {
    PixelFormat format = PixelFormat::rgb;
    int height = 0, width = 0;
    std::vector<uint8_t> pixels;  // packed rows without gaps; NV21: luma, then chroma

    ImageView view() const;
};

// Throws ImageError unless each side has 1 to kMaxImageSide pixels and all have at most `max_pixels`.
void check_image_size(uint64_t width, uint64_t height, const std::string& label, int64_t max_pixels = kMaxImagePixels);

// A JPEG (see jpeg.h), a PNG (8 or 16 bits, any colour type; alpha is dropped) or a PPM (P6, 8 bits) as RGB. Throws
// ImageError.
Image read_image(const std::string& path);

// The same from memory; `label` names the image in messages. An image of more than `max_pixels` is refused before
// anything is allocated for it.
Image decode_image(const std::vector<uint8_t>& data, const std::string& label, int64_t max_pixels = kMaxImagePixels);

// A file that holds nothing but the pixels of one image. Throws ImageError if it has another size.
Image read_raw(const std::string& path, PixelFormat format, int width, int height);

}  // namespace pocketdet
