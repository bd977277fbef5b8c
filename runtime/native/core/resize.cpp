// The horizontal pass (colour conversion, then interpolation) writes each required source row once into one of two
// cached rows; each destination row blends the two. There is no intermediate image.
#include "resize.h"

#include <algorithm>
#include <cstring>

#include "mix_pixels.h"

namespace pocketdet {

namespace {

constexpr size_t kLanes = 4;  // values of a pixel in a cached row: three channels and one unused

int64_t floor_div(int64_t a, int64_t b) { return a >= 0 ? a / b : -((b - 1 - a) / b); }

void place_taps(int source, int target, std::vector<PixelTap>& taps) {
    taps.resize(static_cast<size_t>(target));
    const int64_t s = source;
    const int64_t d = target;
    for (int64_t i = 0; i < d; ++i) {
        const int64_t position = floor_div((2 * i + 1) * s * kOne - d * kOne + d, 2 * d);
        const int64_t base = floor_div(position, kOne);
        const int64_t left = std::clamp<int64_t>(base, 0, s - 1);
        const int64_t right = std::clamp<int64_t>(base + 1, 0, s - 1);
        // At the edges both are the same pixel; fraction 0 allows reading the pixel after `left` instead of `right`.
        const int32_t fraction = left == right ? 0 : static_cast<int32_t>(position - base * kOne);
        taps[static_cast<size_t>(i)] = {static_cast<int32_t>(left), static_cast<int32_t>(right), fraction,
                                        shares_of(fraction)};
    }
}

void mix_pixel(const uint8_t* a, const uint8_t* b, int32_t fraction, int32_t* out) {
    for (int c = 0; c < 3; ++c) out[c] = mix(a[c], b[c], fraction);
    out[3] = 0;
}

// mix_with_next reads eight bytes, so the last pixels of a row are interpolated value by value.
template <int kStep>
void mix_packed(const uint8_t* row, int source_width, const std::vector<PixelTap>& columns, int32_t* out) {
    const PixelTap* tap = columns.data();
    const PixelTap* const end = tap + columns.size();
    const PixelTap* safe_end = end;
    while (safe_end != tap && safe_end[-1].left * kStep + 8 > source_width * kStep) --safe_end;
    const auto mixed = [&](const PixelTap& at) { return mix_with_next<kStep>(row + at.left * kStep, at.shares); };
    // four at a time, so that a processor that executes in order has something to do while it loads
    for (; safe_end - tap >= 4; tap += 4, out += 4 * kLanes) {
        const MixedPixel four[4] = {mixed(tap[0]), mixed(tap[1]), mixed(tap[2]), mixed(tap[3])};
        std::memcpy(out, four, sizeof four);
    }
    for (; tap != safe_end; ++tap, out += kLanes) {
        const MixedPixel one = mixed(*tap);
        std::memcpy(out, &one, sizeof one);
    }
    for (; tap != end; ++tap, out += kLanes) {
        mix_pixel(row + tap->left * kStep, row + tap->right * kStep, tap->fraction, out);
    }
}

void mix_nv21(const uint8_t* luma, const uint8_t* chroma, const std::vector<PixelTap>& columns, int32_t* out) {
    for (const PixelTap tap : columns) {
        const uint8_t* vu_left = chroma + (tap.left & ~1);
        const uint8_t* vu_right = chroma + (tap.right & ~1);
        const Rgb a = rgb_from_yuv(luma[tap.left], vu_left[1], vu_left[0]);
        const Rgb b = rgb_from_yuv(luma[tap.right], vu_right[1], vu_right[0]);
        out[0] = mix(a.red, b.red, tap.fraction);
        out[1] = mix(a.green, b.green, tap.fraction);
        out[2] = mix(a.blue, b.blue, tap.fraction);
        out[3] = 0;
        out += kLanes;
    }
}

// out: columns.size() pixels of kLanes values in 0 .. 255 * kOne, channels in the order of the source.
void horizontal_pass(const ImageView& image, int y, const std::vector<PixelTap>& columns, int32_t* out) {
    const uint8_t* row = image.pixels + y * image.row_stride;
    if (image.format == PixelFormat::nv21) {
        mix_nv21(row, image.chroma + (y / 2) * image.chroma_row_stride, columns, out);
    } else if (pixel_step(image.format) == 3) {
        mix_packed<3>(row, image.width, columns, out);
    } else {
        mix_packed<4>(row, image.width, columns, out);
    }
}

// The two most recent source rows after the horizontal pass.
class RowCache {
public:
    RowCache(const ImageView& image, ResizeWorkspace& workspace) : image_(image), workspace_(workspace) {
        for (std::vector<int32_t>& row : workspace_.cache) row.resize(kLanes * workspace_.columns.size());
    }

    // Returns row `y`; does not overwrite row `other`.
    const int32_t* fetch(int y, int other) {
        for (size_t slot = 0; slot < 2; ++slot) {
            if (held_[slot] == y) return workspace_.cache[slot].data();
        }
        const size_t slot = held_[0] == other ? 1 : 0;
        horizontal_pass(image_, y, workspace_.columns, workspace_.cache[slot].data());
        held_[slot] = y;
        return workspace_.cache[slot].data();
    }

private:
    const ImageView& image_;
    ResizeWorkspace& workspace_;
    std::array<int, 2> held_{-1, -1};
};

using LaneOrder = std::array<size_t, 3>;

LaneOrder lane_order(PixelFormat source, ChannelOrder wanted) {
    const bool red_first = source == PixelFormat::nv21 || red_is_first(source);
    return red_first == (wanted == ChannelOrder::rgb) ? LaneOrder{0, 1, 2} : LaneOrder{2, 1, 0};
}

class ByteSink {
public:
    ByteSink(uint8_t* out, const ResizeOptions& options) : out_(out), options_(options) {}

    void pad(int y, int begin, int end) {
        for (uint8_t* pixel = at(y, begin); pixel != at(y, end); pixel += 3) {
            std::copy(options_.pad.begin(), options_.pad.end(), pixel);
        }
    }

    // line: `width` pixels of kLanes bytes; `order`: which of them are the channels of the result.
    void write(int y, int begin, const uint8_t* line, size_t width, const LaneOrder& order) {
        uint8_t* pixel = at(y, begin);
        for (size_t x = 0; x < width; ++x, pixel += 3, line += kLanes) {
            for (size_t c = 0; c < 3; ++c) pixel[c] = line[order[c]];
        }
    }

private:
    uint8_t* at(int y, int x) { return out_ + (static_cast<std::ptrdiff_t>(y) * options_.target.width + x) * 3; }

    uint8_t* out_;
    const ResizeOptions& options_;
};

class PlaneSink {
public:
    PlaneSink(float* out, std::ptrdiff_t plane_stride, const NormaliseTable& table, const ResizeOptions& options)
        : out_(out), plane_stride_(plane_stride), table_(table), options_(options) {}

    void pad(int y, int begin, int end) {
        for (size_t c = 0; c < 3; ++c) std::fill(at(c, y, begin), at(c, y, end), table_.values[c][options_.pad[c]]);
    }

    void write(int y, int begin, const uint8_t* line, size_t width, const LaneOrder& order) {
        float* targets[3] = {at(0, y, begin), at(1, y, begin), at(2, y, begin)};
        size_t x = 0;
        for (; x + 4 <= width; x += 4) {  // four at a time, as above
            for (size_t c = 0; c < 3; ++c) {
                float four[4];
                for (size_t i = 0; i < 4; ++i) four[i] = table_.values[c][line[(x + i) * kLanes + order[c]]];
                std::memcpy(targets[c] + x, four, sizeof four);
            }
        }
        for (; x < width; ++x) {
            for (size_t c = 0; c < 3; ++c) targets[c][x] = table_.values[c][line[x * kLanes + order[c]]];
        }
    }

private:
    float* at(size_t c, int y, int x) {
        return out_ + static_cast<std::ptrdiff_t>(c) * plane_stride_ +
               static_cast<std::ptrdiff_t>(y) * options_.target.width + x;
    }

    float* out_;
    std::ptrdiff_t plane_stride_;
    const NormaliseTable& table_;
    const ResizeOptions& options_;
};

template <class Sink>
void resize_into(const ImageView& image, const ResizeOptions& options, ResizeWorkspace& workspace, Sink sink) {
    const Placement placed = compute_placement(options.rule, {image.height, image.width}, options.target);
    place_taps(image.width, placed.width, workspace.columns);
    place_taps(image.height, placed.height, workspace.rows);
    const size_t width = workspace.columns.size();
    workspace.line.resize(kLanes * width);
    const LaneOrder order = lane_order(image.format, options.order);
    RowCache cache(image, workspace);
    for (int y = 0; y < options.target.height; ++y) {
        if (y < placed.y0 || y >= placed.y0 + placed.height) {
            sink.pad(y, 0, options.target.width);
            continue;
        }
        const PixelTap tap = workspace.rows[static_cast<size_t>(y - placed.y0)];
        const int32_t* top = cache.fetch(tap.left, tap.right);
        const int32_t* bottom = cache.fetch(tap.right, tap.left);
        blend(top, bottom, tap.fraction, kLanes * width, workspace.line.data());
        sink.pad(y, 0, placed.x0);
        sink.write(y, placed.x0, workspace.line.data(), width, order);
        sink.pad(y, placed.x0 + placed.width, options.target.width);
    }
}

}  // namespace

Placement compute_placement(ResizeRule rule, Size source, Size target) {
    if (rule == ResizeRule::stretch) return {0, 0, target.width, target.height};
    const int64_t w = source.width;
    const int64_t h = source.height;
    const int64_t full_width = target.width;
    const int64_t full_height = target.height;
    int64_t width = full_width;
    int64_t height = full_height;
    if (w * full_height >= h * full_width) {
        height = std::max<int64_t>(1, (2 * h * full_width + w) / (2 * w));
    } else {
        width = std::max<int64_t>(1, (2 * w * full_height + h) / (2 * h));
    }
    const int64_t left = rule == ResizeRule::letterbox_top_left ? 0 : (full_width - width) / 2;
    const int64_t top = rule == ResizeRule::letterbox_top_left ? 0 : (full_height - height) / 2;
    return {static_cast<int>(left), static_cast<int>(top), static_cast<int>(width), static_cast<int>(height)};
}

NormaliseTable make_normalise_table(const float* mean, const float* std) {
    NormaliseTable table;
    for (int c = 0; c < 3; ++c) {
        for (int value = 0; value < 256; ++value) {
            table.values[c][value] = (static_cast<float>(value) - mean[c]) / std[c];
        }
    }
    return table;
}

void resize_to_bytes(const ImageView& image, const ResizeOptions& options, ResizeWorkspace& workspace, uint8_t* out) {
    resize_into(image, options, workspace, ByteSink(out, options));
}

void resize_to_planes(const ImageView& image, const ResizeOptions& options, const NormaliseTable& table,
                      ResizeWorkspace& workspace, float* out, std::ptrdiff_t plane_stride) {
    resize_into(image, options, workspace, PlaneSink(out, plane_stride, table, options));
}

}  // namespace pocketdet
