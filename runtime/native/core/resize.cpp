// Each source row that is needed goes once through the horizontal pass (colour conversion, then interpolation) into
// one of two cached rows; each destination row blends the two. No image is held in between.
#include "resize.h"

#include <algorithm>

namespace pocketdet {

namespace {

constexpr int kFractionBits = 11;
constexpr int kOne = 1 << kFractionBits;

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
        taps[static_cast<size_t>(i)] = {static_cast<int32_t>(left), static_cast<int32_t>(right),
                                        static_cast<int32_t>(position - base * kOne)};
    }
}

// (kOne - f) * a + f * b with one multiplication.
int32_t mix(int32_t a, int32_t b, int32_t f) { return a * kOne + f * (b - a); }

template <int kStep>
void mix_packed(const uint8_t* row, const std::vector<PixelTap>& columns, bool swap, int32_t* out) {
    const size_t width = columns.size();
    int32_t* first = out;
    int32_t* second = out + width;
    int32_t* third = out + 2 * width;
    if (swap) std::swap(first, third);
    for (size_t x = 0; x < width; ++x) {
        const PixelTap tap = columns[x];
        const uint8_t* a = row + static_cast<std::ptrdiff_t>(tap.left) * kStep;
        const uint8_t* b = row + static_cast<std::ptrdiff_t>(tap.right) * kStep;
        first[x] = mix(a[0], b[0], tap.fraction);
        second[x] = mix(a[1], b[1], tap.fraction);
        third[x] = mix(a[2], b[2], tap.fraction);
    }
}

void mix_nv21(const uint8_t* luma, const uint8_t* chroma, const std::vector<PixelTap>& columns, bool swap,
              int32_t* out) {
    const size_t width = columns.size();
    int32_t* red = out;
    int32_t* green = out + width;
    int32_t* blue = out + 2 * width;
    if (swap) std::swap(red, blue);
    for (size_t x = 0; x < width; ++x) {
        const PixelTap tap = columns[x];
        const uint8_t* vu_left = chroma + (tap.left & ~1);
        const uint8_t* vu_right = chroma + (tap.right & ~1);
        const Rgb a = rgb_from_yuv(luma[tap.left], vu_left[1], vu_left[0]);
        const Rgb b = rgb_from_yuv(luma[tap.right], vu_right[1], vu_right[0]);
        red[x] = mix(a.red, b.red, tap.fraction);
        green[x] = mix(a.green, b.green, tap.fraction);
        blue[x] = mix(a.blue, b.blue, tap.fraction);
    }
}

// out: three planes of columns.size() values in 0 .. 255 * kOne.
void horizontal_pass(const ImageView& image, int y, ChannelOrder order, const std::vector<PixelTap>& columns,
                     int32_t* out) {
    const uint8_t* row = image.pixels + y * image.row_stride;
    const bool wants_red_first = order == ChannelOrder::rgb;
    if (image.format == PixelFormat::nv21) {
        mix_nv21(row, image.chroma + (y / 2) * image.chroma_row_stride, columns, !wants_red_first, out);
        return;
    }
    const bool swap = red_is_first(image.format) != wants_red_first;
    if (pixel_step(image.format) == 3) {
        mix_packed<3>(row, columns, swap, out);
    } else {
        mix_packed<4>(row, columns, swap, out);
    }
}

// The two most recent source rows after the horizontal pass.
class RowCache {
public:
    RowCache(const ImageView& image, ChannelOrder order, ResizeWorkspace& workspace)
        : image_(image), order_(order), workspace_(workspace) {
        for (std::vector<int32_t>& row : workspace_.cache) row.resize(3 * workspace_.columns.size());
    }

    // Row `y`, in a slot that does not hold row `other`.
    const int32_t* fetch(int y, int other) {
        for (size_t slot = 0; slot < 2; ++slot) {
            if (held_[slot] == y) return workspace_.cache[slot].data();
        }
        const size_t slot = held_[0] == other ? 1 : 0;
        horizontal_pass(image_, y, order_, workspace_.columns, workspace_.cache[slot].data());
        held_[slot] = y;
        return workspace_.cache[slot].data();
    }

private:
    const ImageView& image_;
    ChannelOrder order_;
    ResizeWorkspace& workspace_;
    std::array<int, 2> held_{-1, -1};
};

void blend_rows(const int32_t* top, const int32_t* bottom, int32_t fraction, size_t count, uint8_t* out) {
    constexpr int32_t kHalf = 1 << (2 * kFractionBits - 1);
    for (size_t i = 0; i < count; ++i) {
        out[i] = static_cast<uint8_t>((mix(top[i], bottom[i], fraction) + kHalf) >> (2 * kFractionBits));
    }
}

class ByteSink {
public:
    ByteSink(uint8_t* out, const ResizeOptions& options) : out_(out), options_(options) {}

    void pad(int y, int begin, int end) {
        for (uint8_t* pixel = at(y, begin); pixel != at(y, end); pixel += 3) {
            std::copy(options_.pad.begin(), options_.pad.end(), pixel);
        }
    }

    // line: three planes of `width` bytes.
    void write(int y, int begin, const uint8_t* line, size_t width) {
        uint8_t* pixel = at(y, begin);
        for (size_t x = 0; x < width; ++x, pixel += 3) {
            pixel[0] = line[x];
            pixel[1] = line[width + x];
            pixel[2] = line[2 * width + x];
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

    void write(int y, int begin, const uint8_t* line, size_t width) {
        for (size_t c = 0; c < 3; ++c) {
            const float* values = table_.values[c];
            const uint8_t* plane_line = line + c * width;
            float* target = at(c, y, begin);
            for (size_t x = 0; x < width; ++x) target[x] = values[plane_line[x]];
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
    const Placement placed = place(options.rule, {image.height, image.width}, options.target);
    place_taps(image.width, placed.width, workspace.columns);
    place_taps(image.height, placed.height, workspace.rows);
    const size_t width = workspace.columns.size();
    workspace.line.resize(3 * width);
    RowCache cache(image, options.order, workspace);
    for (int y = 0; y < options.target.height; ++y) {
        if (y < placed.y0 || y >= placed.y0 + placed.height) {
            sink.pad(y, 0, options.target.width);
            continue;
        }
        const PixelTap tap = workspace.rows[static_cast<size_t>(y - placed.y0)];
        const int32_t* top = cache.fetch(tap.left, tap.right);
        const int32_t* bottom = cache.fetch(tap.right, tap.left);
        blend_rows(top, bottom, tap.fraction, 3 * width, workspace.line.data());
        sink.pad(y, 0, placed.x0);
        sink.write(y, placed.x0, workspace.line.data(), width);
        sink.pad(y, placed.x0 + placed.width, options.target.width);
    }
}

}  // namespace

Placement place(ResizeRule rule, Size source, Size target) {
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
    return {static_cast<int>((full_width - width) / 2), static_cast<int>((full_height - height) / 2),
            static_cast<int>(width), static_cast<int>(height)};
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
