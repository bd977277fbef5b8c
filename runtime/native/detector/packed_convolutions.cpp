// Convolutions on packed maps.
#include <algorithm>
#include <array>
#include <cstring>

#include "packed_convolution.h"
#include "packed_layers.h"

namespace pocketdet {

namespace {

constexpr int kMostPlanes = 4, kMostRows = 6;  // of a stem: its inputs, the rows of its kernel
constexpr int kStemSlack = 24;                 // elements that the kernel reads past the end of a row

// The elements that ncnn packs together where channels fill half of the last vector: 4 of 8. 0 where it packs none.
int half_pack(const Kernels& kernels) { return kernels.lanes == 8 ? 4 : 0; }

bool is_stem(const LayerLine& line, const Kernels& kernels) {
    const Geometry g(line);
    const bool has_size = is_plain(line, 2) || is_plain(line, 3) || is_plain(line, 6);
    const int taps = g.kernel * g.kernel * g.outputs, rest = g.outputs % kernels.lanes;
    return has_size && (g.int8_scales == 0 || kernels.element_size == 2) && g.stride == 2 && line.get(7, 1) == 1 &&
           g.outputs > 0 && (rest == 0 || rest == half_pack(kernels)) && g.weights % taps == 0 &&
           g.weights / taps >= 1 && g.weights / taps <= kMostPlanes;
}

bool is_pointwise(const LayerLine& line, const Kernels& kernels) {
    const Geometry g(line);
    const bool fills_vectors = g.outputs % kernels.lanes == 0;
    const bool is_of_planes = line.is_end && is_rectified(g) && kernels.to_planes != nullptr;
    return is_plain(line, 1) && g.int8_scales == 0 && g.stride == 1 && line.get(7, 1) == 1 && g.outputs > 0 &&
           (fills_vectors || is_of_planes) && g.weights > 0 && g.weights % (g.outputs * kernels.lanes) == 0;
}

bool is_depthwise(const LayerLine& line, const Kernels& kernels) {
    const Geometry g(line);
    return is_plain(line, 5) && g.int8_scales == 0 && (g.stride == 1 || g.stride == 2) && g.outputs > 0 &&
           g.outputs % kernels.lanes == 0 && line.get(7, 1) == g.outputs && g.weights == 25 * g.outputs;
}

// Rows of a map between zeros, written when they are asked for. Of the rows in use at a time no two may be a multiple
// of kSlots apart.
class RowRing {
public:
    static constexpr int kSlots = 8;

    RowRing(size_t row_bytes, int height, const ncnn::Option& option)
        : rows_(static_cast<int>(row_bytes), kSlots + 1, 1u, option.workspace_allocator), height_(height) {
        if (!rows_.empty()) std::memset(rows_.data, 0, row_bytes * (kSlots + 1));
        held_.fill(-1);
    }

    bool empty() const { return rows_.empty(); }

    // `write(y, to)` writes row y. Bytes that it does not write are zero.
    template <class Write>
    const uint8_t* at(int y, Write write) {
        if (y < 0 || y >= height_) return rows_.row<uint8_t>(kSlots);
        const int slot = y % kSlots;
        uint8_t* const row = rows_.row<uint8_t>(slot);
        if (held_[static_cast<size_t>(slot)] != y) write(y, row);
        held_[static_cast<size_t>(slot)] = y;
        return row;
    }

private:
    ncnn::Mat rows_;
    std::array<int, kSlots> held_{};
    int height_;
};

class Stem : public PackedConvolution {
public:
    explicit Stem(const Kernels& kernels) : PackedConvolution(kernels) {
        support_packing = support_fp16_storage = false;  // of the input
    }

    int forward(const ncnn::Mat& map, ncnn::Mat& out, const ncnn::Option& option) const override {
        if (map.dims != 3 || map.c != planes() || map.elemsize != sizeof(float)) return -1;
        const bool fills_vectors = geometry_.outputs % kernels_.lanes == 0;
        create_output(map, out, fills_vectors ? kernels_.lanes : half_pack(kernels_), option);
        const int groups = filled_up(geometry_.outputs) / kernels_.lanes;
        ncnn::Mat whole(fills_vectors ? 1 : out.w, groups, pixel_size(), kernels_.lanes, option.workspace_allocator);
        if (out.empty() || whole.empty()) return -100;
        const Padding& pad = geometry_.padding;
        const int row_elements = pad.left + map.w + pad.right + kStemSlack;
        const size_t left = static_cast<size_t>(pad.left) * kernels_.element_size;
        std::vector<RowRing> rings;
        for (int c = 0; c < planes(); ++c) {
            rings.emplace_back(static_cast<size_t>(row_elements) * kernels_.element_size, map.h, option);
            if (rings.back().empty()) return -100;
        }
        const int kernel = geometry_.kernel;
        std::array<const void*, kMostRows * kMostPlanes> rows{};
        std::vector<void*> outs(static_cast<size_t>(groups));
        for (int y = 0; y < out.h; ++y) {
            for (int c = 0; c < planes(); ++c) {
                for (int i = 0; i < kernel; ++i) {
                    const auto convert = [&](int row, uint8_t* to) {
                        kernels_.convert(map.channel(c).row(row), map.w, to + left);
                    };
                    rows[static_cast<size_t>(kernel * c + i)] =
                        rings[static_cast<size_t>(c)].at(2 * y - pad.top + i, convert);
                }
            }
            for (int g = 0; g < groups; ++g) {
                outs[static_cast<size_t>(g)] = fills_vectors ? out.channel(g).row<void>(y) : whole.row<void>(g);
            }
            kernels_.stem(
                {kernel, rows.data(), planes(), weights_.data, bias_.data, outs.data(), groups, out.w, activation_});
            if (fills_vectors) continue;
            kernels_.element_size == 2 ? write_halves<uint64_t>(whole, out, y)
                                       : write_halves<std::array<uint64_t, 2>>(whole, out, y);
        }
        return 0;
    }

private:
    int planes() const { return geometry_.weights / (taps() * geometry_.outputs); }
    int taps() const { return geometry_.kernel * geometry_.kernel; }

    // Row `y` of `out` from the row of each group, whose vectors have the elements of two channels of `out`.
    template <class Half>  // of the size of half a vector
    static void write_halves(const ncnn::Mat& groups, ncnn::Mat& out, int y) {
        for (int c = 0; c < out.c; ++c) {
            const Half* const from = groups.row<const Half>(c / 2) + c % 2;
            Half* const to = out.channel(c).row<Half>(y);
            for (int x = 0; x < out.w; ++x) to[x] = from[2 * x];
        }
    }

    std::vector<float> in_order(const float* weights) const override {
        return in_batches(weights, geometry_.outputs, taps() * planes(), 3);
    }
};

class Pointwise : public PackedConvolution {
public:
    using PackedConvolution::PackedConvolution;

    int forward(const ncnn::Mat& map, ncnn::Mat& out, const ncnn::Option& option) const override {
        const bool is_vector = map.dims == 1;
        if (!is_packed(map) || !(is_vector ? map.w == blocks() : map.dims == 3 && map.c == blocks())) return -1;
        if (geometry_.outputs % kernels_.lanes != 0) return write_planes_of(map, out, option);
        if (is_vector) {
            out.create(geometry_.outputs / kernels_.lanes, pixel_size(), kernels_.lanes, option.blob_allocator);
        } else {
            create_output(map, out, kernels_.lanes, option);
        }
        if (out.empty()) return -100;
        multiply(map, out.data, is_vector ? 1 : out.cstep);
        return 0;
    }

private:
    int blocks() const { return geometry_.weights / geometry_.outputs / kernels_.lanes; }

    // group_stride: of the output, in vectors.
    void multiply(const ncnn::Mat& map, void* out, size_t group_stride) const {
        const bool is_vector = map.dims == 1;
        const std::ptrdiff_t lanes = kernels_.lanes;
        kernels_.product({map.data, static_cast<std::ptrdiff_t>(is_vector ? 1 : map.cstep) * lanes, lanes, blocks(),
                          is_vector ? 1 : map.w * map.h, weights_.data, bias_.data, out,
                          static_cast<std::ptrdiff_t>(group_stride) * lanes, lanes,
                          filled_up(geometry_.outputs) / kernels_.lanes, activation_});
    }

    int write_planes_of(const ncnn::Mat& map, ncnn::Mat& out, const ncnn::Option& option) const {
        const bool is_vector = map.dims == 1;
        const ncnn::Mat packed(is_vector ? 1 : map.w, map.h, filled_up(geometry_.outputs) / kernels_.lanes,
                               pixel_size(), kernels_.lanes, option.workspace_allocator);
        if (packed.empty()) return -100;
        multiply(map, packed.data, packed.cstep);
        write_planes(packed, geometry_.outputs, out, option);
        if (is_vector && !out.empty()) out = out.reshape(geometry_.outputs, option.blob_allocator);
        return out.empty() ? -100 : 0;
    }

    std::vector<float> in_order(const float* weights) const override {
        return in_batches(weights, geometry_.outputs, geometry_.weights / geometry_.outputs, 2);
    }
};

class DepthwiseConvolution : public PackedConvolution {
public:
    using PackedConvolution::PackedConvolution;

    int forward(const ncnn::Mat& map, ncnn::Mat& out, const ncnn::Option& option) const override {
        if (map.dims != 3 || map.c * kernels_.lanes != geometry_.outputs || !is_packed(map)) return -1;
        create_output(map, out, kernels_.lanes, option);
        if (out.empty()) return -100;
        const bool is_whole = is_in_tiles(map, out);
        ncnn::Mat padded = is_whole ? ncnn::Mat(map.w, pixel_size(), kernels_.lanes, option.workspace_allocator)
                                    : with_place_for_padding(map, option);
        if (padded.empty()) return -100;
        std::memset(padded.data, 0, padded.total() * pixel_size());
        for (int g = 0; g < out.c; ++g) {
            const ncnn::Mat group = map.channel(g);
            if (!is_whole) copy_between_padding(group, padded);
            const ncnn::Mat& from = is_whole ? group : padded;
            kernels_.depthwise({from.data, static_cast<std::ptrdiff_t>(from.w) * kernels_.lanes,
                                is_whole ? padded.data : nullptr, map.h, vectors(weights_, 25 * g), vectors(bias_, g),
                                out.channel(g).data, out.w, out.h, geometry_.stride, activation_});
        }
        return 0;
    }

private:
    // Whether the kernel computes the map without a copy between padding.
    bool is_in_tiles(const ncnn::Mat& map, const ncnn::Mat& out) const {
        return geometry_.padding.left == 2 && geometry_.padding.top == 2 && map.w == geometry_.stride * out.w &&
               out.w % kernels_.depthwise_pixels == 0;
    }

    ncnn::Mat with_place_for_padding(const ncnn::Mat& map, const ncnn::Option& option) const {
        const Padding& pad = geometry_.padding;
        return {pad.left + map.w + pad.right, pad.top + map.h + pad.bottom, pixel_size(), kernels_.lanes,
                option.workspace_allocator};
    }

    void copy_between_padding(const ncnn::Mat& group, ncnn::Mat& padded) const {
        const size_t left = static_cast<size_t>(geometry_.padding.left) * pixel_size();
        for (int y = 0; y < group.h; ++y) {
            std::memcpy(padded.row<uint8_t>(geometry_.padding.top + y) + left, group.row<uint8_t>(y),
                        static_cast<size_t>(group.w) * pixel_size());
        }
    }

    const uint8_t* vectors(const ncnn::Mat& mat, int first) const {
        return mat.row<const uint8_t>(0) + static_cast<size_t>(first) * pixel_size();
    }

    // (channels, 5, 5) -> (groups, 5, 5, lanes)
    std::vector<float> in_order(const float* weights) const override {
        std::vector<float> ordered;
        for (int first = 0; first < geometry_.outputs; first += kernels_.lanes) {
            for (int tap = 0; tap < 25; ++tap) {
                for (int lane = 0; lane < kernels_.lanes; ++lane) ordered.push_back(weights[(first + lane) * 25 + tap]);
            }
        }
        return ordered;
    }
};

}  // namespace

void add_convolutions(const Kernels& kernels, std::vector<OwnLayer>& layers) {
    const auto with_kernels = [&](bool (*test)(const LayerLine&, const Kernels&)) {
        return [test, &kernels](const LayerLine& line) { return test(line, kernels); };
    };
    layers.push_back(packed_layer<Stem>("Convolution", "PocketdetStem", with_kernels(is_stem), kernels));
    layers.push_back(packed_layer<Pointwise>("Convolution", "PocketdetPointwise", with_kernels(is_pointwise), kernels));
    layers.push_back(packed_layer<DepthwiseConvolution>("ConvolutionDepthWise", "PocketdetDepthwise",
                                                        with_kernels(is_depthwise), kernels));
}

}  // namespace pocketdet
