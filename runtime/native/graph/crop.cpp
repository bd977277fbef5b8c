// Crop, in its three forms: by starts, ends and axes; to a size; to the size of a second input.
#include <algorithm>
#include <numeric>
#include <set>

#include "layer_params.h"
#include "message_text.h"
#include "shape_rules.h"

namespace pocketdet::graph {

namespace {

// Names of the parameters of an axis: offset, size, trailing offset.
struct Keys {
    const char *offset, *size, *tail;
};
constexpr Keys kWidth{"woffset", "outw", "woffset2"}, kHeight{"hoffset", "outh", "hoffset2"},
    kDepth{"doffset", "outd", "doffset2"}, kChannels{"coffset", "outc", "coffset2"};

std::vector<Keys> keys_of(size_t dims) {
    if (dims == 1) return {kWidth};
    if (dims == 2) return {kHeight, kWidth};
    return dims == 3 ? std::vector<Keys>{kChannels, kHeight, kWidth}
                     : std::vector<Keys>{kChannels, kDepth, kHeight, kWidth};
}

Shapes inside(const Layer& layer, const Shape& shape, const Shape& offsets, const Shape& output) {
    for (size_t i = 0; i < shape.size(); ++i) {
        if (offsets[i] < 0 || output[i] < 1 || offsets[i] + output[i] > shape[i]) {
            layer.fail("cuts " + tuple_text(output) + " at " + tuple_text(offsets) + " out of " + tuple_text(shape));
        }
    }
    return {output};
}

Shapes by_starts(const Layer& layer, const Shape& shape, const Integers& starts, const Integers& ends,
                 const Integers& axes) {
    std::vector<size_t> where(shape.size());
    std::iota(where.begin(), where.end(), size_t{0});
    if (!axes.empty()) where.clear();
    for (const int64_t axis : axes) where.push_back(axis_of(layer, axis, shape.size()));
    const size_t distinct = std::set<size_t>(where.begin(), where.end()).size();
    if (starts.size() != ends.size() || ends.size() != where.size() || where.size() != distinct) {
        layer.fail("starts " + tuple_text(starts) + ", ends " + tuple_text(ends) + " and axes " + tuple_text(axes) +
                   " do not belong together");
    }
    Shape offsets(shape.size(), 0), output = shape;
    for (size_t i = 0; i < where.size(); ++i) {
        const int64_t size = shape[where[i]], start = starts[i], end = ends[i];
        const int64_t begin = start == kKeep ? 0 : start >= 0 ? start : size + start;
        const int64_t stop = end == kKeep ? size : end > 0 ? end : size + end;
        offsets[where[i]] = begin;
        output[where[i]] = std::min(size, stop) - begin;
    }
    return inside(layer, shape, offsets, output);
}

Shapes to_reference(const Layer& layer, const Shapes& inputs, const Shape& offsets) {
    if (inputs.size() != 2) layer.fail("a crop without size needs a second input to take it from");
    const Shape &shape = inputs[0], &reference = inputs[1];
    Shape output = shape;
    output.back() = reference.back();
    if (shape.size() > 1) output[shape.size() - 2] = reference.size() > 1 ? reference[reference.size() - 2] : 1;
    if (shape.size() == 4) output[1] = reference.size() == 4 ? reference[1] : 1;
    if (reference.size() == shape.size()) output[0] = reference[0];
    return inside(layer, shape, offsets, output);
}

}  // namespace

Shapes crop_shapes(const Layer& layer, const Shapes& inputs) {
    const Shape& shape = inputs[0];
    const Integers starts = int_array(layer, "starts"), ends = int_array(layer, "ends"),
                   axes = int_array(layer, "axes");
    if (!starts.empty() || !ends.empty() || !axes.empty()) {
        if (inputs.size() != 1) layer.fail("a crop by starts and ends takes one input");
        return by_starts(layer, shape, starts, ends, axes);
    }
    const std::vector<Keys> keys = keys_of(shape.size());
    Shape offsets;
    for (const Keys& key : keys) offsets.push_back(int_param(layer, key.offset, 0));
    bool has_size = false;
    for (const Keys& key : {kWidth, kHeight, kDepth, kChannels}) {
        const bool has_length = has_flag(layer, key.size), has_tail = has_flag(layer, key.tail);
        has_size = has_size || has_length || has_tail;
    }
    if (!has_size) return to_reference(layer, inputs, offsets);
    if (inputs.size() != 1) layer.fail("a crop to a size takes one input");
    Shape output;
    for (size_t i = 0; i < shape.size(); ++i) {
        const int64_t length = int_param(layer, keys[i].size, 0);
        const int64_t tail = expect_range(layer, "a trailing offset", int_param(layer, keys[i].tail, 0), 0, shape[i]);
        const int64_t rest = shape[i] - offsets[i] - tail;
        output.push_back(length == kKeep ? rest : std::min(length, rest));
    }
    return inside(layer, shape, offsets, output);
}

}  // namespace pocketdet::graph
