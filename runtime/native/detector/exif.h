// The orientation that a camera wrote into a JPEG file. As OpenCV reads it, so that Python and C++ see the same image.
#pragma once

#include <cstddef>
#include <cstdint>

namespace pocketdet {

// The EXIF orientation of a JPEG file, 1 to 8; 1 (upright) if there is none that can be read. Source: EXIF 2.32,
// sections 4.5 and 4.6, tag 274.
int exif_orientation(const uint8_t* jpeg, size_t size);

}  // namespace pocketdet
