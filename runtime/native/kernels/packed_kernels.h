// The kernels of kernels.h for any vector. `Lanes` names the vector and its operations. This is compiled for other
// processors than the rest of the program: what is included here must not emit functions with external linkage, which
// the linker could use for the whole program.
#pragma once

#include <limits>
#include <utility>

#include "kernels.h"
#include "packed_activations.h"

namespace pocketdet {
namespace {

template <int value>
using Count = std::integral_constant<int, value>;

// Calls tile(Count<n>, x) for tiles of `most` (at least 4), 4, 2 and 1 pixels that fill `width`.
template <int most, class Tile>
inline void for_tiles(int width, Tile tile) {
    int x = 0;
    for (; x + most <= width; x += most) tile(Count<most>(), x);
    for (; x + 4 <= width; x += 4) tile(Count<4>(), x);
    if (x + 2 <= width) tile(Count<2>(), x), x += 2;
    if (x < width) tile(Count<1>(), x);
}

// What ReLU, or none, leaves as it is: outputs are written without branches.
template <class Lanes>
inline typename Lanes::Vector lowest(const Activation& activation) {
    return Lanes::splat(activation.kind == Activation::Kind::relu ? 0 : -std::numeric_limits<float>::infinity());
}

// A pointer that GCC keeps: it would add an offset to another pointer at each store, and could not join two stores.
template <class Element>
inline Element* in_register(Element* pointer) {
    asm("" : "+r"(pointer));
    return pointer;
}

// sums[group][pixel] += weights * the element `lane` of `value`, a group after the other: it may be loaded for all.
template <class Lanes, int lane, int groups, int pixels>
inline void add_scaled(typename Lanes::Vector (&sums)[groups][pixels], int pixel,
                       const typename Lanes::Vector (&weights)[groups], typename Lanes::Indexed value) {
    for (int g = 0; g < groups; ++g) {
        sums[g][pixel] = Lanes::template add_scaled<lane>(sums[g][pixel], weights[g], value);
    }
}

// sums[group][pixel] += weights * the element of `values` at 2 * pixel + tap.
template <class Lanes, int tap, int groups, int pixels, int... all>
inline void add_tap(typename Lanes::Vector (&sums)[groups][pixels], const typename Lanes::Element* weights,
                    const typename Lanes::Indexed* values, std::integer_sequence<int, all...>) {
    constexpr int n = Lanes::kCount;
    typename Lanes::Vector of_tap[groups];
    for (int g = 0; g < groups; ++g) of_tap[g] = Lanes::load(weights + (tap * groups + g) * n);
    (add_scaled<Lanes, (2 * all + tap) % n>(sums, all, of_tap, values[(2 * all + tap) / n]), ...);
}

// `taps` are the columns of the kernel.
template <class Lanes, int groups, int pixels, int... taps>
inline void stem_tile(const StemRow& row, const typename Lanes::Element* weights, int first, int x,
                      std::integer_sequence<int, taps...>) {
    using Element = typename Lanes::Element;
    using Vector = typename Lanes::Vector;
    constexpr int n = Lanes::kCount, kernel = sizeof...(taps);
    constexpr int loads = (2 * (pixels - 1) + kernel - 1) / n + 1;  // of the columns of the windows
    constexpr std::make_integer_sequence<int, pixels> all{};
    Vector sums[groups][pixels];
    for (int g = 0; g < groups; ++g) {
        const Vector bias = Lanes::load(static_cast<const Element*>(row.bias) + (first + g) * n);
        for (int p = 0; p < pixels; ++p) sums[g][p] = bias;
    }
    for (int k = 0; k < kernel * row.planes; ++k, weights += kernel * groups * n) {
        const Element* from = static_cast<const Element*>(row.rows[k]) + 2 * x;
        typename Lanes::Indexed values[loads];
        for (int i = 0; i < loads; ++i) values[i] = Lanes::load_indexed(from + i * n);
        (add_tap<Lanes, taps>(sums, weights, values, all), ...);
    }
    const Vector least = lowest<Lanes>(row.activation);
    for (int g = 0; g < groups; ++g) {
        Element* const out = in_register(static_cast<Element*>(row.outs[first + g]) + x * n);
        for (int p = 0; p < pixels; ++p) Lanes::store(out + p * n, Lanes::max(least, sums[g][p]));
    }
}

template <class Lanes, int kernel, int groups>
void stem_groups(const StemRow& row, const typename Lanes::Element* weights, int first) {
    for_tiles<Lanes::kStemPixels>(row.width, [&](auto pixels, int x) {
        stem_tile<Lanes, groups, pixels.value>(row, weights, first, x, std::make_integer_sequence<int, kernel>());
    });
}

template <class Lanes, int kernel>
void stem_row_of(const StemRow& row) {
    const auto* weights = static_cast<const typename Lanes::Element*>(row.weights);
    int first = 0;
    for (; first + 3 <= row.groups; first += 3) {
        stem_groups<Lanes, kernel, 3>(row, weights, first);
        weights += kernel * kernel * row.planes * 3 * Lanes::kCount;
    }
    if (row.groups - first == 2) stem_groups<Lanes, kernel, 2>(row, weights, first);
    if (row.groups - first == 1) stem_groups<Lanes, kernel, 1>(row, weights, first);
    for (int g = 0; g < row.groups; ++g) finish<Lanes>(row.activation, row.outs[g], row.width * Lanes::kCount);
}

template <class Lanes>
void stem_row(const StemRow& row) {
    if (row.kernel == 2) return stem_row_of<Lanes, 2>(row);
    row.kernel == 3 ? stem_row_of<Lanes, 3>(row) : stem_row_of<Lanes, 6>(row);
}

// sums[group][pixel] += weights * the element `lane` of values[pixel].
template <class Lanes, int groups, int pixels, int lane>
inline void add_input(typename Lanes::Vector (&sums)[groups][pixels], const typename Lanes::Element* weights,
                      const typename Lanes::Indexed* values) {
    typename Lanes::Vector of_input[groups];
    for (int g = 0; g < groups; ++g) of_input[g] = Lanes::load(weights + (lane * groups + g) * Lanes::kCount);
    for (int p = 0; p < pixels; ++p) add_scaled<Lanes, lane>(sums, p, of_input, values[p]);
}

// is_map: pixels of the output lie one vector apart, otherwise groups do.
template <class Lanes, bool is_map, int groups, int pixels, int... lanes>
inline void product_tile(const Product& product, const typename Lanes::Element* weights, int first, int x,
                         std::integer_sequence<int, lanes...>) {
    using Element = typename Lanes::Element;
    using Vector = typename Lanes::Vector;
    constexpr int n = Lanes::kCount;
    Vector sums[groups][pixels];
    for (int g = 0; g < groups; ++g) {
        const Vector bias = Lanes::load(static_cast<const Element*>(product.bias) + (first + g) * n);
        for (int p = 0; p < pixels; ++p) sums[g][p] = bias;
    }
    const Element* from = static_cast<const Element*>(product.from) + x * product.pixel_stride;
    for (int b = 0; b < product.blocks; ++b, from += product.block_stride, weights += n * groups * n) {
        typename Lanes::Indexed values[pixels];
        for (int p = 0; p < pixels; ++p) values[p] = Lanes::load_indexed(from + p * product.pixel_stride);
        (add_input<Lanes, groups, pixels, lanes>(sums, weights, values), ...);
    }
    const Vector least = lowest<Lanes>(product.activation);
    const std::ptrdiff_t out_stride = is_map ? n : product.out_pixel_stride;
    const std::ptrdiff_t group_stride = is_map ? product.out_group_stride : n;
    Element* const out = static_cast<Element*>(product.out) + first * group_stride + x * out_stride;
    for (int g = 0; g < groups; ++g) {
        Element* const of_group = in_register(out + g * group_stride);
        for (int p = 0; p < pixels; ++p) {
            Lanes::store(of_group + p * out_stride, Lanes::max(least, sums[g][p]));
        }
    }
}

template <class Lanes, bool is_map, int groups>
void product_groups(const Product& product, const typename Lanes::Element* weights, int first) {
    for_tiles<Lanes::kProductPixels>(product.pixels, [&](auto pixels, int x) {
        product_tile<Lanes, is_map, groups, pixels.value>(product, weights, first, x,
                                                          std::make_integer_sequence<int, Lanes::kCount>());
    });
}

template <class Lanes, bool is_map>
void product_in_layout(const Product& product) {
    const auto* weights = static_cast<const typename Lanes::Element*>(product.weights);
    int first = 0;
    for (; first + 2 <= product.groups; first += 2) {
        product_groups<Lanes, is_map, 2>(product, weights, first);
        weights += static_cast<std::ptrdiff_t>(product.blocks) * Lanes::kCount * 2 * Lanes::kCount;
    }
    if (first < product.groups) product_groups<Lanes, is_map, 1>(product, weights, first);
}

template <class Lanes>
void product_all(const Product& product) {
    if (product.out_pixel_stride != Lanes::kCount) return product_in_layout<Lanes, false>(product);
    product_in_layout<Lanes, true>(product);
    auto* group = static_cast<typename Lanes::Element*>(product.out);
    for (int g = 0; g < product.groups; ++g, group += product.out_group_stride) {
        finish<Lanes>(product.activation, group, product.pixels * Lanes::kCount);
    }
}

// sums[pixel] += the weight for `column` of the window * value, where the window of the pixel has it.
template <class Lanes, int stride, int column, int... pixels>
inline void add_column(typename Lanes::Vector* sums, const typename Lanes::Vector* weights,
                       typename Lanes::Vector value, std::integer_sequence<int, pixels...>) {
    const auto add = [&](auto pixel) {
        constexpr int tap = column - decltype(pixel)::value * stride;
        if constexpr (tap >= 0 && tap < 5) {
            sums[pixel.value] = Lanes::add_product(sums[pixel.value], weights[tap], value);
        }
    };
    (add(Count<pixels>()), ...);
}

// The source rows of a row of windows, each from column 0 of the window of the first pixel on.
template <class Lanes>
using WindowRows = const typename Lanes::Element* [5];

// One tile of a row. The columns before `first` and those not in the sequence are zero. A call would save registers.
template <class Lanes, int stride, int pixels, int first, int... columns>
__attribute__((always_inline)) inline void depthwise_tile(const Depthwise& layer, const WindowRows<Lanes>& rows,
                                                          typename Lanes::Element* out, int x,
                                                          std::integer_sequence<int, columns...>) {
    using Element = typename Lanes::Element;
    using Vector = typename Lanes::Vector;
    constexpr int n = Lanes::kCount;
    constexpr std::make_integer_sequence<int, pixels> all{};
    const auto* weights = static_cast<const Element*>(layer.weights);
    Vector sums[pixels];
    const Vector bias = Lanes::load(static_cast<const Element*>(layer.bias));
    for (int p = 0; p < pixels; ++p) sums[p] = bias;
    const auto add_row = [&](int i) __attribute__((always_inline)) {
        const Element* const of_row = weights + 5 * i * n;
        const Element* const from = rows[i] + (x * stride + first) * n;
        Vector taps[5];
        for (int t = 0; t < 5; ++t) taps[t] = Lanes::load(of_row + t * n);
        (add_column<Lanes, stride, first + columns>(sums, taps, Lanes::load(from + columns * n), all), ...);
    };
    if constexpr (Lanes::kJoinsRows) {  // a loop would wait for its sums at the end of each row
        add_row(0), add_row(1), add_row(2), add_row(3), add_row(4);
    } else {
        for (int i = 0; i < 5; ++i) add_row(i);
    }
    const Vector least = lowest<Lanes>(layer.activation);
    Element* const to = in_register(out + x * n);
    for (int p = 0; p < pixels; ++p) Lanes::store(to + p * n, Lanes::max(least, sums[p]));
}

// `left` and `right` columns of the tile's windows are zero.
template <class Lanes, int stride, int pixels, int left, int right>
__attribute__((always_inline)) inline void depthwise_columns(const Depthwise& layer, const WindowRows<Lanes>& rows,
                                                             typename Lanes::Element* out, int x) {
    constexpr int columns = stride * (pixels - 1) + 5 - left - right;
    depthwise_tile<Lanes, stride, pixels, left>(layer, rows, out, x, std::make_integer_sequence<int, columns>());
}

// A row of whole tiles, of which the first and the last have columns outside the map.
template <class Lanes, int stride>
inline void depthwise_between_zeros(const Depthwise& layer, const WindowRows<Lanes>& rows,
                                    typename Lanes::Element* out) {
    constexpr int most = Lanes::kDepthwisePixels, left = 2, right = 3 - stride;
    if (layer.width == most) return depthwise_columns<Lanes, stride, most, left, right>(layer, rows, out, 0);
    depthwise_columns<Lanes, stride, most, left, 0>(layer, rows, out, 0);
    const int last = layer.width - most;
    for (int x = most; x < last; x += most) depthwise_columns<Lanes, stride, most, 0, 0>(layer, rows, out, x);
    depthwise_columns<Lanes, stride, most, 0, right>(layer, rows, out, last);
}

template <class Lanes, int stride>
void depthwise_rows(const Depthwise& layer) {
    using Element = typename Lanes::Element;
    const Element* const from = static_cast<const Element*>(layer.from);
    const Element* const zeros = static_cast<const Element*>(layer.zeros);
    Element* out = static_cast<Element*>(layer.out);
    for (int y = 0; y < layer.height; ++y, out += layer.width * Lanes::kCount) {
        WindowRows<Lanes> rows;
        for (int i = 0; i < 5; ++i) {
            const int source = stride * y + i - (zeros == nullptr ? 0 : 2);
            const bool is_inside = zeros == nullptr || (source >= 0 && source < layer.source_height);
            const Element* const row = is_inside ? from + source * layer.row_stride : zeros;
            rows[i] = zeros == nullptr ? row : row - 2 * Lanes::kCount;
        }
        if (zeros != nullptr) {
            depthwise_between_zeros<Lanes, stride>(layer, rows, out);
            continue;
        }
        for_tiles<Lanes::kDepthwisePixels>(layer.width, [&](auto pixels, int x) {
            depthwise_columns<Lanes, stride, pixels.value, 0, 0>(layer, rows, out, x);
        });
    }
}

template <class Lanes>
void depthwise(const Depthwise& layer) {
    layer.stride == 1 ? depthwise_rows<Lanes, 1>(layer) : depthwise_rows<Lanes, 2>(layer);
    finish<Lanes>(layer.activation, layer.out, layer.width * layer.height * Lanes::kCount);
}

template <class Lanes>
void max_pool_row(const MaxPoolRow& row) {
    using Element = typename Lanes::Element;
    using Vector = typename Lanes::Vector;
    constexpr int n = Lanes::kCount;
    const auto* const top = static_cast<const Element*>(row.rows[0]);
    const auto* const middle = static_cast<const Element*>(row.rows[1]);
    const auto* const bottom = static_cast<const Element*>(row.rows[2]);
    const auto highest = [=](int column) {
        const int at = column * n;
        return Lanes::max(Lanes::max(Lanes::load(top + at), Lanes::load(middle + at)), Lanes::load(bottom + at));
    };
    Element* const out = static_cast<Element*>(row.out);
    const int pairs = row.source_width / 2;
    Vector left = highest(0);
    for (int x = 0; x < pairs; ++x) {
        const Vector right = highest(2 * x + 1);
        Lanes::store(out + x * n, Lanes::max(Lanes::max(left, highest(2 * x)), right));
        left = right;
    }
    if (2 * pairs < row.source_width) Lanes::store(out + pairs * n, Lanes::max(left, highest(2 * pairs)));
}

// `first` and `second` of the vectors of each pixel.
template <class Lanes, typename Lanes::Vector (*first_of)(typename Lanes::Vector, typename Lanes::Vector),
          typename Lanes::Vector (*second_of)(typename Lanes::Vector, typename Lanes::Vector)>
void rearrange(const void* a, const void* b, int pixels, void* first, void* second) {
    using Element = typename Lanes::Element;
    for (int i = 0; i < pixels * Lanes::kCount; i += Lanes::kCount) {
        const auto x = Lanes::load(static_cast<const Element*>(a) + i),
                   y = Lanes::load(static_cast<const Element*>(b) + i);
        Lanes::store(static_cast<Element*>(first) + i, first_of(x, y));
        Lanes::store(static_cast<Element*>(second) + i, second_of(x, y));
    }
}

template <class Lanes>
void double_row(const void* from, int pixels, void* to) {
    const auto* const source = static_cast<const typename Lanes::Element*>(from);
    auto* const target = static_cast<typename Lanes::Element*>(to);
    for (int i = 0; i < pixels * Lanes::kCount; i += Lanes::kCount) {
        const auto pixel = Lanes::load(source + i);
        Lanes::store(target + 2 * i, pixel);
        Lanes::store(target + 2 * i + Lanes::kCount, pixel);
    }
}

template <class Lanes>
constexpr Kernels kernels_of() {
    return {Lanes::kCount,
            sizeof(typename Lanes::Element),
            Lanes::convert,
            stem_row<Lanes>,
            product_all<Lanes>,
            depthwise<Lanes>,
            max_pool_row<Lanes>,
            rearrange<Lanes, Lanes::zip_low, Lanes::zip_high>,
            rearrange<Lanes, Lanes::even, Lanes::odd>,
            double_row<Lanes>,
            activate<Lanes>,
            Lanes::kDepthwisePixels};
}

}  // namespace
}  // namespace pocketdet
