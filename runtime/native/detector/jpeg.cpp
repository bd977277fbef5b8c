#include "jpeg.h"

#include <wuffs.h>

#include <cstdlib>
#include <memory>
#include <new>

#include "errors.h"
#include "exif.h"

namespace pocketdet {

namespace {

struct Free {
    void operator()(wuffs_jpeg__decoder* decoder) const { std::free(decoder); }
};

void check(const wuffs_base__status& status, const std::string& label) {
    if (status.is_ok()) return;
    throw ImageError(label + ": the JPEG cannot be decoded: " + status.message());
}

std::vector<uint8_t> decode_pixels(wuffs_jpeg__decoder& decoder, wuffs_base__image_config config,
                                   wuffs_base__io_buffer& source, const std::string& label) {
    const uint32_t width = config.pixcfg.width();
    const uint32_t height = config.pixcfg.height();
    config.pixcfg.set(WUFFS_BASE__PIXEL_FORMAT__RGB, WUFFS_BASE__PIXEL_SUBSAMPLING__NONE, width, height);
    std::vector<uint8_t> pixels(size_t{3} * width * height);
    wuffs_base__pixel_buffer target;
    check(target.set_from_slice(&config.pixcfg, wuffs_base__make_slice_u8(pixels.data(), pixels.size())), label);
    // not initialised: it may be larger than the image, and pages that are never written cost nothing
    const auto bytes = static_cast<size_t>(decoder.workbuf_len().max_incl);
    const std::unique_ptr<uint8_t[]> work(new uint8_t[bytes]);
    check(decoder.decode_frame(&target, &source, WUFFS_BASE__PIXEL_BLEND__SRC,
                               wuffs_base__make_slice_u8(work.get(), bytes), nullptr),
          label);
    return pixels;
}

// The image as it is looked at. Orientations 5 to 8 exchange the axes first; then the mirrored axes are reversed.
Image upright(Image image, int orientation) {
    if (orientation == 1) return image;
    const bool turned = orientation >= 5;
    const bool mirror_x = orientation == 2 || orientation == 3 || orientation == 6 || orientation == 7;
    const bool mirror_y = orientation == 3 || orientation == 4 || orientation == 7 || orientation == 8;
    Image result{PixelFormat::rgb, turned ? image.width : image.height, turned ? image.height : image.width, {}};
    result.pixels.reserve(image.pixels.size());
    for (int y = 0; y < result.height; ++y) {
        for (int x = 0; x < result.width; ++x) {
            const int a = mirror_y ? result.height - 1 - y : y;
            const int b = mirror_x ? result.width - 1 - x : x;
            const std::ptrdiff_t at =
                turned ? std::ptrdiff_t{b} * image.width + a : std::ptrdiff_t{a} * image.width + b;
            const uint8_t* pixel = image.pixels.data() + 3 * at;
            result.pixels.insert(result.pixels.end(), pixel, pixel + 3);
        }
    }
    return result;
}

}  // namespace

bool is_jpeg(const std::vector<uint8_t>& data) { return data.size() >= 2 && data[0] == 0xff && data[1] == 0xd8; }

Image decode_jpeg(const std::vector<uint8_t>& data, const std::string& label, int64_t max_pixels) {
    const std::unique_ptr<wuffs_jpeg__decoder, Free> decoder(wuffs_jpeg__decoder__alloc());
    if (!decoder) throw std::bad_alloc();
    wuffs_base__io_buffer source =
        wuffs_base__ptr_u8__reader(const_cast<uint8_t*>(data.data()), data.size(), /*closed=*/true);
    wuffs_base__image_config config;
    check(decoder->decode_image_config(&config, &source), label);
    const uint32_t width = config.pixcfg.width();
    const uint32_t height = config.pixcfg.height();
    check_image_size(width, height, label, max_pixels);
    Image image{PixelFormat::rgb, static_cast<int>(height), static_cast<int>(width),
                decode_pixels(*decoder, config, source, label)};
    return upright(std::move(image), exif_orientation(data.data(), data.size()));
}

}  // namespace pocketdet
