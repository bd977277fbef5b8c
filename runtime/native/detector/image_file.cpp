#include "image_file.h"

#include <lodepng.h>

#include <stdexcept>

#include "errors.h"
#include "files.h"
#include "jpeg.h"

namespace pocketdet {

namespace {

constexpr uint64_t kMaxFileBytes = (uint64_t{1} << 31) - 1;  // as src/pocketdet/io.py

std::vector<uint8_t> read_bytes(const std::string& path) {
    try {
        return read_file(path, kMaxFileBytes);
    } catch (const std::runtime_error& error) {
        throw ImageError(path + ": the image cannot be read: " + error.what());
    }
}

// round(value / 257), as runtime/images.py.
uint8_t to_8_bits(const uint8_t* big_endian) {
    const uint32_t value = (uint32_t{big_endian[0]} << 8) | big_endian[1];
    return static_cast<uint8_t>((value + 128) / 257);
}

Image decode_png(const std::vector<uint8_t>& data, const std::string& label, int64_t max_pixels) {
    unsigned width = 0;
    unsigned height = 0;
    lodepng::State state;
    unsigned problem = lodepng_inspect(&width, &height, &state, data.data(), data.size());
    if (problem == 0) {
        check_image_size(width, height, label, max_pixels);
        const bool deep = state.info_png.color.bitdepth == 16;
        state.info_raw.colortype = LCT_RGB;
        state.info_raw.bitdepth = deep ? 16 : 8;
        // LodePNG converts RGBA to RGB by dropping alpha
        state.decoder.zlibsettings.max_output_size = size_t{8} * (size_t{width} + 1) * height + 4096;
        std::vector<uint8_t> pixels;
        problem = lodepng::decode(pixels, width, height, state, data);
        if (problem == 0 && deep) {
            for (size_t i = 0; i < pixels.size() / 2; ++i) pixels[i] = to_8_bits(pixels.data() + 2 * i);
            pixels.resize(pixels.size() / 2);
        }
        if (problem == 0) {
            return {PixelFormat::rgb, static_cast<int>(height), static_cast<int>(width), std::move(pixels)};
        }
    }
    throw ImageError(label + ": the PNG cannot be decoded: " + lodepng_error_text(problem));
}

// The next number of a PPM header; -1 if there is none. Comments run from # to the end of a line.
int64_t header_number(const std::vector<uint8_t>& data, size_t& at) {
    const auto is_blank = [](uint8_t c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; };
    while (at < data.size() && (is_blank(data[at]) || data[at] == '#')) {
        if (data[at] == '#') {
            while (at < data.size() && data[at] != '\n') ++at;
        } else {
            ++at;
        }
    }
    int64_t number = -1;
    for (int digits = 0; at < data.size() && data[at] >= '0' && data[at] <= '9'; ++at) {
        if (++digits > 6) return -1;
        number = (number < 0 ? 0 : number) * 10 + (data[at] - '0');
    }
    return number;
}

Image decode_ppm(const std::vector<uint8_t>& data, const std::string& label, int64_t max_pixels) {
    size_t at = 2;
    const int64_t width = header_number(data, at);
    const int64_t height = header_number(data, at);
    const int64_t most = header_number(data, at);
    if (width < 0 || height < 0 || most != 255) {
        throw ImageError(label + ": expected a PPM header 'P6 width height 255', found another");
    }
    check_image_size(static_cast<uint64_t>(width), static_cast<uint64_t>(height), label, max_pixels);
    const size_t bytes = static_cast<size_t>(3 * width * height);
    at += 1;  // one blank ends the header
    if (data.size() < at || data.size() - at != bytes) {
        throw ImageError(label + ": expected " + std::to_string(bytes) +
                         " bytes of pixels after the PPM header, found " +
                         std::to_string(data.size() < at ? 0 : data.size() - at));
    }
    const auto first = data.begin() + static_cast<std::ptrdiff_t>(at);
    return {PixelFormat::rgb, static_cast<int>(height), static_cast<int>(width), {first, data.end()}};
}

}  // namespace

ImageView Image::view() const {
    const std::ptrdiff_t row = std::ptrdiff_t{width} * pixel_step(format);
    const bool planar = format == PixelFormat::nv21;
    const uint8_t* chroma = planar ? pixels.data() + row * height : nullptr;
    return {format, height, width, pixels.data(), row, chroma, planar ? row : 0};
}

void check_image_size(uint64_t width, uint64_t height, const std::string& label, int64_t max_pixels) {
    const uint64_t most = kMaxImageSide;
    const bool fits = width <= most && height <= most &&
                      is_image_size(static_cast<int64_t>(width), static_cast<int64_t>(height)) &&
                      width * height <= static_cast<uint64_t>(max_pixels);
    if (!fits) {
        throw ImageError(label + ": expected 1 to " + std::to_string(kMaxImageSide) + " pixels a side and at most " +
                         std::to_string(max_pixels) + " in all, found " + std::to_string(width) + " x " +
                         std::to_string(height) + "; scale it down first");
    }
}

Image decode_image(const std::vector<uint8_t>& data, const std::string& label, int64_t max_pixels) {
    if (data.size() >= 8 && data[0] == 0x89 && data[1] == 'P' && data[2] == 'N' && data[3] == 'G') {
        return decode_png(data, label, max_pixels);
    }
    if (is_jpeg(data)) return decode_jpeg(data, label, max_pixels);
    if (data.size() >= 2 && data[0] == 'P' && data[1] == '6') return decode_ppm(data, label, max_pixels);
    throw ImageError(label + ": expected a JPEG, a PNG or a binary PPM (P6), found another format; convert it first");
}

Image read_image(const std::string& path) { return decode_image(read_bytes(path), path); }

Image read_raw(const std::string& path, PixelFormat format, int width, int height) {
    check_image_size(static_cast<uint64_t>(width), static_cast<uint64_t>(height), path);
    if (format == PixelFormat::nv21 && (width % 2 != 0 || height % 2 != 0)) {
        throw ImageError(path + ": expected even sides for NV21, found " + std::to_string(width) + " x " +
                         std::to_string(height));
    }
    Image image{format, height, width, read_bytes(path)};
    size_t expected = static_cast<size_t>(pixel_step(format));
    expected *= static_cast<size_t>(width) * static_cast<size_t>(height);
    if (format == PixelFormat::nv21) expected += expected / 2;
    if (image.pixels.size() != expected) {
        throw ImageError(path + ": expected " + std::to_string(expected) + " bytes for " + std::to_string(width) +
                         " x " + std::to_string(height) + ", found " + std::to_string(image.pixels.size()));
    }
    return image;
}

}  // namespace pocketdet
