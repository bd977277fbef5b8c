// JPEG files, decoded by Wuffs. Pixels are those of libjpeg-turbo, with which Python's OpenCV decodes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "image_file.h"

namespace pocketdet {

bool is_jpeg(const std::vector<uint8_t>& data);

// A baseline or progressive JPEG of 8 bits, grey or colour, as RGB; the EXIF orientation is applied. An image of more
// than `max_pixels` is refused before anything is allocated for it. Throws ImageError, std::bad_alloc.
Image decode_jpeg(const std::vector<uint8_t>& data, const std::string& label, int64_t max_pixels);

}  // namespace pocketdet
