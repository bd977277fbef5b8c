// Functions of elements for any vector, included by packed_kernels.h. `Lanes` is as there.
#pragma once

#include <cstring>

#include "kernels.h"

namespace pocketdet {
namespace {

// No element less than -kMostSigmoid, so that its exp is a normal number. A NaN stays.
template <class Lanes, int count>
inline void bound_below(typename Lanes::Vector (&x)[count]) {
    for (auto& v : x) v = Lanes::max(Lanes::splat(-Lanes::kMostSigmoid), v);
}

// x = 1 / (1 + exp(-x)) of bounded elements, where exp(-x) = 2^whole * 2^part and the latter is a polynomial. Each step
// is taken for all vectors, since the next one waits for it.
template <class Lanes, int count>
inline void take_bounded_sigmoid(typename Lanes::Vector (&x)[count]) {
    using Vector = typename Lanes::Vector;
    const Vector log2_e = Lanes::splat(1.44269504f), rounding = Lanes::splat(Lanes::kRounding);
    Vector rounded[count], minus_part[count], power[count];
    for (Vector& v : x) v = Lanes::min(Lanes::splat(Lanes::kMostSigmoid), v);
    for (int k = 0; k < count; ++k) rounded[k] = Lanes::subtract_product(rounding, x[k], log2_e);  // whole: last bits
    for (int k = 0; k < count; ++k) minus_part[k] = Lanes::add_product(rounded[k] - rounding, x[k], log2_e);
    for (Vector& v : power) v = Lanes::splat(Lanes::kPowers[0]);
    for (std::size_t i = 1; i < sizeof(Lanes::kPowers) / sizeof(float); ++i) {
        const Vector coefficient = Lanes::splat(Lanes::kPowers[i]);
        for (int k = 0; k < count; ++k) power[k] = Lanes::add_product(coefficient, power[k], minus_part[k]);
    }
    for (int k = 0; k < count; ++k) x[k] = Lanes::splat(1) + Lanes::add_to_exponent(power[k], rounded[k]);
    Lanes::invert(x);
}

template <class Lanes, int count>
inline void take_sigmoid(typename Lanes::Vector (&x)[count]) {
    bound_below<Lanes>(x);
    take_bounded_sigmoid<Lanes>(x);
}

// x = x / (1 + exp(-x)). Below the bound the result is that of the bound, which is nearly zero.
template <class Lanes, int count>
inline void take_swish(typename Lanes::Vector (&x)[count]) {
    typename Lanes::Vector factor[count];
    bound_below<Lanes>(x);
    for (int k = 0; k < count; ++k) factor[k] = x[k];
    take_bounded_sigmoid<Lanes>(factor);
    for (int k = 0; k < count; ++k) x[k] = x[k] * factor[k];
}

// Calls function(vectors) for arrays of 4 vectors and of 1 that have all elements, and stores them.
template <class Lanes, class Function>
inline void for_vectors(void* elements, std::size_t count, Function function) {
    using Element = typename Lanes::Element;
    using Vector = typename Lanes::Vector;
    constexpr std::size_t n = Lanes::kCount;
    Element* const values = static_cast<Element*>(elements);
    std::size_t i = 0;
    for (; i + 4 * n <= count; i += 4 * n) {
        Vector four[4];
        for (std::size_t k = 0; k < 4; ++k) four[k] = Lanes::load(values + i + k * n);
        function(four);
        for (std::size_t k = 0; k < 4; ++k) Lanes::store(values + i + k * n, four[k]);
    }
    const auto take = [&](Element* at) {
        Vector one[1] = {Lanes::load(at)};
        function(one);
        Lanes::store(at, one[0]);
    };
    for (; i + n <= count; i += n) take(values + i);
    if (i == count) return;
    Element rest[n] = {};
    std::memcpy(rest, values + i, (count - i) * sizeof(Element));
    take(rest);
    std::memcpy(values + i, rest, (count - i) * sizeof(Element));
}

template <class Lanes>
void activate(const Activation& activation, void* elements, std::size_t count) {
    using Kind = Activation::Kind;
    using Vector = typename Lanes::Vector;
    const Vector a = Lanes::splat(activation.a), b = Lanes::splat(activation.b);
    const Vector zero = Lanes::splat(0), one = Lanes::splat(1);
    const auto for_all = [&](auto function) { for_vectors<Lanes>(elements, count, function); };
    switch (activation.kind) {
        case Kind::none:
            return;
        case Kind::relu:
            return for_all([=](auto& x) {
                for (Vector& v : x) v = Lanes::max(zero, v);
            });
        case Kind::leaky_relu:
            return for_all([=](auto& x) {
                for (Vector& v : x) v = Lanes::max(v * a, v);
            });
        case Kind::sigmoid:
            return for_all([](auto& x) { take_sigmoid<Lanes>(x); });
        case Kind::hard_swish:
            return for_all([=](auto& x) {
                for (Vector& v : x) v = v * Lanes::min(one, Lanes::max(zero, Lanes::add_product(b, v, a)));
            });
        case Kind::swish:
            return for_all([](auto& x) { take_swish<Lanes>(x); });
    }
}

// What the layers of packed_kernels.h do not do before they store a sum, for all of a channel group.
template <class Lanes>
inline void finish(const Activation& activation, void* elements, std::ptrdiff_t count) {
    if (activation.kind == Activation::Kind::none || activation.kind == Activation::Kind::relu) return;
    activate<Lanes>(activation, elements, static_cast<std::size_t>(count));
}

}  // namespace
}  // namespace pocketdet
