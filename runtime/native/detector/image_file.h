// Pictures from files: PNG, binary PPM, and raw pixels whose size the caller knows.
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

// A PNG (8 or 16 bits, any colour type; alpha is dropped) or a PPM (P6, 8 bits) as RGB. Throws ImageError.
Image read_image(const std::string& path);

// The same from memory; `label` names the picture in messages.
Image decode_image(const std::vector<uint8_t>& data, const std::string& label);

// A file that holds nothing but the pixels of one picture. Throws ImageError if it has another size.
Image read_raw(const std::string& path, PixelFormat format, int width, int height);

}  // namespace pocketdet
