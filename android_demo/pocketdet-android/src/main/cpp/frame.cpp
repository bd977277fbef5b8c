#include "frame.h"

#include <algorithm>

namespace pocketdet {

namespace {

// Pixels of a tile's side: turned by 90 degrees, a tile's rows of the destination stay in the first cache.
constexpr int kTile = 32;

// Where the crop's first pixel goes, and how far a step across and a step down in the source moves there, in bytes.
struct Route {
    uint8_t* start;
    std::ptrdiff_t across, down;
};

Route route_of(const Frame& frame, uint8_t* rgb) {
    const std::ptrdiff_t row = std::ptrdiff_t{3} * frame.width();
    const std::ptrdiff_t last_row = row * (frame.height() - 1);
    switch (frame.turns) {
        case 1:
            return {rgb + row - 3, row, -3};
        case 2:
            return {rgb + last_row + row - 3, -3, -row};
        case 3:
            return {rgb + last_row, -row, 3};
        default:
            return {rgb, 3, row};
    }
}

inline void put(uint8_t* to, const Rgb& pixel) {
    to[0] = static_cast<uint8_t>(pixel.red);
    to[1] = static_cast<uint8_t>(pixel.green);
    to[2] = static_cast<uint8_t>(pixel.blue);
}

// `count` pixels of a row, from column `x` of the planes.
void rgba_row(const Frame& frame, int x, int y, int count, uint8_t* to, std::ptrdiff_t step) {
    const uint8_t* from = frame.first + y * frame.row + std::ptrdiff_t{4} * x;
    for (int i = 0; i < count; ++i, from += 4, to += step) put(to, {from[0], from[1], from[2]});
}

// In steps that compilers vectorise: gather, convert, scatter.
void yuv_row(const Frame& frame, int x, int y, int count, uint8_t* to, std::ptrdiff_t step) {
    const uint8_t* luma = frame.first + y * frame.row + x;
    const uint8_t* u = frame.second + y / 2 * frame.chroma_row;
    const uint8_t* v = frame.third + y / 2 * frame.chroma_row;
    uint8_t blue_difference[kTile], red_difference[kTile], red[kTile], green[kTile], blue[kTile];
    for (int i = 0; i < count; ++i) {
        const std::ptrdiff_t sample = (x + i) / 2 * frame.chroma_step;
        blue_difference[i] = u[sample];
        red_difference[i] = v[sample];
    }
    for (int i = 0; i < count; ++i) {
        const Rgb pixel = rgb_from_yuv(luma[i], blue_difference[i], red_difference[i]);
        red[i] = static_cast<uint8_t>(pixel.red);
        green[i] = static_cast<uint8_t>(pixel.green);
        blue[i] = static_cast<uint8_t>(pixel.blue);
    }
    for (int i = 0; i < count; ++i, to += step) {
        to[0] = red[i];
        to[1] = green[i];
        to[2] = blue[i];
    }
}

}  // namespace

ImageView view_of(const Frame& frame, std::vector<uint8_t>& rgb) {
    if (frame.kind == Frame::kRgba && frame.turns == 0) {
        const uint8_t* corner = frame.first + frame.top * frame.row + std::ptrdiff_t{4} * frame.left;
        return {PixelFormat::rgba, frame.down, frame.across, corner, frame.row, nullptr, 0};
    }
    rgb.resize(size_t{3} * static_cast<size_t>(frame.across) * static_cast<size_t>(frame.down));
    to_rgb(frame, rgb.data());
    return {PixelFormat::rgb, frame.height(), frame.width(), rgb.data(), std::ptrdiff_t{3} * frame.width(), nullptr, 0};
}

void to_rgb(const Frame& frame, uint8_t* rgb) {
    const Route route = route_of(frame, rgb);
    const auto row = frame.kind == Frame::kRgba ? rgba_row : yuv_row;
    for (int top = 0; top < frame.down; top += kTile) {
        const int bottom = std::min(top + kTile, frame.down);
        for (int left = 0; left < frame.across; left += kTile) {
            const int count = std::min(kTile, frame.across - left);
            uint8_t* column = route.start + left * route.across;
            for (int y = top; y < bottom; ++y) {
                row(frame, frame.left + left, frame.top + y, count, column + y * route.down, route.across);
            }
        }
    }
}

}  // namespace pocketdet
