// Views of input images: packed RGB variants or NV21 from a camera, without a copy.
#pragma once

#include <cstddef>
#include <cstdint>

namespace pocketdet {

// Limits of an input image in Python, C++ and Java. 200-megapixel photos fit, and products of sides and positions do
// not overflow.
constexpr int kMaxImageSide = 65535;
constexpr int64_t kMaxImagePixels = int64_t{1} << 28;

inline bool is_image_size(int64_t width, int64_t height) {
    return width >= 1 && height >= 1 && width <= kMaxImageSide && height <= kMaxImageSide &&
           width * height <= kMaxImagePixels;
}

enum class PixelFormat { rgb, bgr, rgba, bgra, nv21 };

// Of the network input.
enum class ChannelOrder { rgb, bgr };

// Does not own its pixels.
struct ImageView {
    PixelFormat format;
    int height, width;
    const uint8_t* pixels;      // packed pixels; NV21: the luma plane
    std::ptrdiff_t row_stride;  // bytes
    const uint8_t* chroma;      // NV21: rows of (V, U) pairs, one row per two luma rows; else null
    std::ptrdiff_t chroma_row_stride;
};

// Bytes per pixel of a packed format; 1 for NV21's luma.
inline int pixel_step(PixelFormat format) {
    switch (format) {
        case PixelFormat::rgb:
        case PixelFormat::bgr:
            return 3;
        case PixelFormat::rgba:
        case PixelFormat::bgra:
            return 4;
        case PixelFormat::nv21:
            break;
    }
    return 1;
}

inline bool red_is_first(PixelFormat format) { return format == PixelFormat::rgb || format == PixelFormat::rgba; }

struct Rgb {
    int red, green, blue;
};

inline int clamp_byte(int value) { return value < 0 ? 0 : (value > 255 ? 255 : value); }

// Full-range BT.601 in 16-bit fixed point. Definition: docs/reference/definitions.md "Resize".
inline Rgb rgb_from_yuv(int luma, int u, int v) {
    const int cb = u - 128;
    const int cr = v - 128;
    return {clamp_byte(luma + ((91881 * cr + 32768) >> 16)),
            clamp_byte(luma - ((22554 * cb + 46802 * cr + 32768) >> 16)),
            clamp_byte(luma + ((116130 * cb + 32768) >> 16))};
}

}  // namespace pocketdet
