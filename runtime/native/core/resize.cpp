// The horizontal pass (colour conversion, then interpolation) writes each required source row once into one of two
// cached rows, channel by channel; each destination row blends the two. There is no intermediate image.
#include "resize.h"

#include <algorithm>
#include <cstring>

#include "mix_pixels.h"
#include "near_columns.h"
#include "normalise_bytes.h"

namespace pocketdet {

namespace {

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
        taps[static_cast<size_t>(i)] = {static_cast<int32_t>(left), static_cast<int32_t>(right), fraction};
    }
}

// The columns of the result and the rows between source and result: 3 planes, padded to whole vectors.
struct Columns {
    explicit Columns(const ResizeWorkspace& workspace)
        : taps(workspace.columns),
          near(workspace.near_columns),
          shares(workspace.shares),
          plane((taps.size() + 15) / 16 * 16) {}

    const std::vector<PixelTap>& taps;
    const std::vector<NearColumns>& near;
    const std::vector<uint16_t>& shares;
    size_t plane;  // elements
};

// mix_four reads eight bytes of a pixel, so the last pixels of a row are interpolated value by value.
template <int kStep>
void mix_packed(const uint8_t* row, int source_width, const Columns& columns, int32_t* out) {
#if defined(__aarch64__)
    if (!columns.near.empty()) return mix_near(row, columns.near, columns.shares.data(), out, columns.plane);
#endif
    const PixelTap* const taps = columns.taps.data();
    size_t safe_end = columns.taps.size();
    while (safe_end != 0 && taps[safe_end - 1].left * kStep + 8 > source_width * kStep) --safe_end;
    size_t x = 0;
    for (; x + 4 <= safe_end; x += 4) {
        const auto pixel = [&](size_t i) { return row + taps[x + i].left * kStep; };
        mix_four<kStep>({pixel(0), pixel(1), pixel(2), pixel(3)}, columns.shares.data() + 2 * x, out + x,
                        columns.plane);
    }
    for (; x < columns.taps.size(); ++x) {
        const uint8_t *a = row + taps[x].left * kStep, *b = row + taps[x].right * kStep;
        for (size_t c = 0; c < 3; ++c) out[c * columns.plane + x] = mix(a[c], b[c], taps[x].fraction);
    }
}

void mix_nv21(const uint8_t* luma, const uint8_t* chroma, const Columns& columns, int32_t* out) {
    for (const PixelTap tap : columns.taps) {
        const uint8_t* vu_left = chroma + (tap.left & ~1);
        const uint8_t* vu_right = chroma + (tap.right & ~1);
        const Rgb a = rgb_from_yuv(luma[tap.left], vu_left[1], vu_left[0]);
        const Rgb b = rgb_from_yuv(luma[tap.right], vu_right[1], vu_right[0]);
        out[0] = mix(a.red, b.red, tap.fraction);
        out[columns.plane] = mix(a.green, b.green, tap.fraction);
        out[2 * columns.plane] = mix(a.blue, b.blue, tap.fraction);
        ++out;
    }
}

// out: planes of values in 0 .. 255 * kOne, channels in the order of the source.
void horizontal_pass(const ImageView& image, int y, const Columns& columns, int32_t* out) {
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
    RowCache(const ImageView& image, const Columns& columns, ResizeWorkspace& workspace)
        : image_(image), columns_(columns), workspace_(workspace) {
        for (std::vector<int32_t>& row : workspace_.cache) row.resize(3 * columns.plane);
    }

    // Returns row `y`; does not overwrite row `other`.
    const int32_t* fetch(int y, int other) {
        for (size_t slot = 0; slot < 2; ++slot) {
            if (held_[slot] == y) return workspace_.cache[slot].data();
        }
        const size_t slot = held_[0] == other ? 1 : 0;
        horizontal_pass(image_, y, columns_, workspace_.cache[slot].data());
        held_[slot] = y;
        return workspace_.cache[slot].data();
    }

private:
    const ImageView& image_;
    const Columns& columns_;
    ResizeWorkspace& workspace_;
    std::array<int, 2> held_{-1, -1};
};

// A row of `width` pixels: where each channel of the result has its bytes.
struct Line {
    std::array<const uint8_t*, 3> planes;
    size_t width;
};

Line line_of(const ResizeWorkspace& workspace, const Columns& columns, bool reversed) {
    const uint8_t* const first = workspace.line.data();
    const uint8_t* const last = first + 2 * columns.plane;
    return {{reversed ? last : first, first + columns.plane, reversed ? first : last}, columns.taps.size()};
}

class ByteSink {
public:
    ByteSink(uint8_t* out, const ResizeOptions& options) : out_(out), options_(options) {}

    void pad(int y, int begin, int end) {
        for (uint8_t* pixel = at(y, begin); pixel != at(y, end); pixel += 3) {
            std::copy(options_.pad.begin(), options_.pad.end(), pixel);
        }
    }

    void write(int y, int begin, const Line& line) {
        uint8_t* pixel = at(y, begin);
        for (size_t x = 0; x < line.width; ++x, pixel += 3) {
            for (size_t c = 0; c < 3; ++c) pixel[c] = line.planes[c][x];
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

    void write(int y, int begin, const Line& line) {
        for (size_t c = 0; c < 3; ++c) normalise_bytes(line.planes[c], line.width, table_, c, at(c, y, begin));
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
#if defined(__aarch64__)
    if (image.format != PixelFormat::nv21)
        find_near_columns(workspace.columns, pixel_step(image.format), image.width, workspace.near_columns);
#endif
    const Columns columns(workspace);
    workspace.shares.resize(2 * columns.plane);
    for (size_t x = 0; x < columns.taps.size(); ++x) put_shares(x, columns.taps[x].fraction, workspace.shares.data());
    workspace.line.resize(3 * columns.plane);
    const bool red_first = image.format == PixelFormat::nv21 || red_is_first(image.format);
    const Line line = line_of(workspace, columns, red_first != (options.order == ChannelOrder::rgb));
    RowCache cache(image, columns, workspace);
    for (int y = 0; y < options.target.height; ++y) {
        if (y < placed.y0 || y >= placed.y0 + placed.height) {
            sink.pad(y, 0, options.target.width);
            continue;
        }
        const PixelTap tap = workspace.rows[static_cast<size_t>(y - placed.y0)];
        const int32_t* top = cache.fetch(tap.left, tap.right);
        const int32_t* bottom = cache.fetch(tap.right, tap.left);
        blend(top, bottom, tap.fraction, 3 * columns.plane, workspace.line.data());
        sink.pad(y, 0, placed.x0);
        sink.write(y, placed.x0, line);
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
        table.mean[c] = mean[c];
        table.std[c] = std[c];
        for (int value = 0; value < 256; ++value) {
            table.values[c][value] = (static_cast<float>(value) - mean[c]) / std[c];
        }
        table.has_products[c] = are_products(table, static_cast<size_t>(c));
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
