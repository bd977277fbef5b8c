// Layers that move, join or repeat values without arithmetic on them.
#include <algorithm>
#include <array>
#include <numeric>

#include "layer_params.h"
#include "message_text.h"
#include "numbers.h"
#include "shape_rules.h"

namespace pocketdet::graph {

namespace {

// The length of each slice along an axis of `total`; what does not fit shows in their sum.
Integers slice_sizes(const Layer& layer, int64_t total) {
    const Integers slices = int_array(layer, "slices"), indices = int_array(layer, "indices");
    const size_t count = layer.outputs.size();
    Integers sizes;
    if (!indices.empty()) {
        if (indices.size() != count - 1) {
            layer.fail("has " + std::to_string(indices.size()) + " split points for " + std::to_string(count) +
                       " outputs");
        }
        int64_t begin = 0;
        for (const int64_t index : indices) {
            const int64_t end = index < 0 ? index + total : index;
            sizes.push_back(end - begin);
            begin = end;
        }
        sizes.push_back(total - begin);
        return sizes;
    }
    if (slices.size() != count) {
        layer.fail("has " + std::to_string(slices.size()) + " sizes for " + std::to_string(count) + " outputs");
    }
    int64_t rest = total;
    for (size_t i = 0; i < count; ++i) {
        const auto left = static_cast<int64_t>(count - i);
        sizes.push_back(slices[i] == kKeep ? floor_divide(rest, left) : slices[i]);
        rest -= sizes.back();
    }
    return sizes;
}

bool differs_only_at(const Shape& a, const Shape& b, size_t axis) {
    if (a.size() != b.size()) return false;
    for (size_t i = 0; i < a.size(); ++i) {
        if (i != axis && a[i] != b[i]) return false;
    }
    return true;
}

}  // namespace

Shapes split_shapes(const Layer& layer, const Shapes& inputs) { return Shapes(layer.outputs.size(), inputs[0]); }

// In place on all inputs; only the first outputs.size() get a name.
Shapes noop_shapes(const Layer& layer, const Shapes& inputs) {
    const size_t count = layer.outputs.size();
    if (count > inputs.size()) {
        layer.fail("has " + std::to_string(count) + " outputs for " + std::to_string(inputs.size()) + " inputs");
    }
    return Shapes(inputs.begin(), inputs.begin() + static_cast<std::ptrdiff_t>(count));
}

Shapes slice_shapes(const Layer& layer, const Shapes& inputs) {
    const Shape& shape = inputs[0];
    const size_t axis = axis_of(layer, int_param(layer, "axis", 0), shape.size());
    const Integers sizes = slice_sizes(layer, shape[axis]);
    const bool is_positive = *std::min_element(sizes.begin(), sizes.end()) >= 1;
    if (!is_positive || std::accumulate(sizes.begin(), sizes.end(), int64_t{0}) != shape[axis]) {
        layer.fail("slices " + tuple_text(shape) + " along axis " + std::to_string(axis) + " into " + list_text(sizes) +
                   ", which must be positive and sum to " + std::to_string(shape[axis]));
    }
    Shapes outputs(sizes.size(), shape);
    for (size_t i = 0; i < sizes.size(); ++i) outputs[i][axis] = sizes[i];
    return outputs;
}

Shapes concat_shapes(const Layer& layer, const Shapes& inputs) {
    Shape output = inputs[0];
    const size_t axis = axis_of(layer, int_param(layer, "axis", 0), output.size());
    for (size_t i = 1; i < inputs.size(); ++i) {
        if (!differs_only_at(inputs[0], inputs[i], axis)) {
            layer.fail("cannot join " + tuple_text(inputs[0]) + " and " + tuple_text(inputs[i]) + " along axis " +
                       std::to_string(axis));
        }
        output[axis] += inputs[i][axis];
    }
    return {output};
}

Shapes shuffle_channel_shapes(const Layer& layer, const Shapes& inputs) {
    expect_dims(layer, inputs[0], {3, 4});
    const int64_t group = int_param(layer, "group", 1), channels = inputs[0][0];
    if (group < 1 || channels % group != 0) {
        layer.fail("cannot shuffle " + std::to_string(channels) + " channels in " + std::to_string(group) + " groups");
    }
    int_param(layer, "reverse", 0);
    return inputs;
}

// PixelShuffle trades channels for pixels, Reorg pixels for channels, by a factor r in each direction.
Shapes pixel_shuffle_shapes(const Layer& layer, const Shapes& inputs) {
    expect_dims(layer, inputs[0], {3});
    const int64_t r = expect_range(layer, "the factor",
                                   int_param(layer, layer.type == "Reorg" ? "stride" : "upscale_factor", 1), 1, 1024);
    expect_range(layer, "the mode", int_param(layer, "mode", 0), 0, 1);
    const int64_t c = inputs[0][0], h = inputs[0][1], w = inputs[0][2];
    if (layer.type == "PixelShuffle") {
        if (c % (r * r) != 0) {
            layer.fail(std::to_string(c) + " channels do not divide by " + std::to_string(r) + " squared");
        }
        return {{c / (r * r), h * r, w * r}};
    }
    if (h % r != 0 || w % r != 0) {
        layer.fail(std::to_string(h) + "x" + std::to_string(w) + " pixels do not divide by " + std::to_string(r));
    }
    return {{c * r * r, h / r, w / r}};
}

Shapes padding_shapes(const Layer& layer, const Shapes& inputs) {
    const Shape& shape = inputs[0];
    const int64_t kind = expect_range(layer, "the padding type", int_param(layer, "type", 0), 0, 2);
    const auto pad_of = [&layer](const char* side) { return int_param(layer, side, 0); };
    // before and after each axis: channels or depth, height, width
    const std::array<std::array<int64_t, 2>, 3> pairs{
        {{pad_of("front"), pad_of("behind")}, {pad_of("top"), pad_of("bottom")}, {pad_of("left"), pad_of("right")}}};
    Shape output = shape;
    for (size_t i = 0; i + shape.size() < pairs.size(); ++i) {
        if (pairs[i][0] != 0 || pairs[i][1] != 0) {
            layer.fail("pads axes that its input " + tuple_text(shape) + " does not have");
        }
    }
    const size_t first = shape.size() == 4 ? 1 : 0;  // no padding of the channels of four axes
    for (size_t axis = first; axis < shape.size(); ++axis) {
        const int64_t most = kind == 2 ? shape[axis] - 1 : int64_t{1} << 20;
        for (const int64_t pad : pairs[axis + pairs.size() - shape.size()]) {
            output[axis] += expect_range(layer, "a pad", pad, 0, most);
        }
    }
    const int64_t per_channel = int_param(layer, "per_channel_pad_data_size", 0);
    if (per_channel != 0 && (shape.size() < 3 || per_channel != output[0])) {
        layer.fail("has " + std::to_string(per_channel) + " pad values for an output of shape " + tuple_text(output));
    }
    return {output};
}

}  // namespace pocketdet::graph
