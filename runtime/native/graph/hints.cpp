#include "hints.h"

#include "layer_types.h"
#include "message_text.h"

namespace pocketdet::graph {

namespace {

// The shape that `step` numbers from `hint` stand for; empty where there is none of so many dimensions.
Shape hinted(const int64_t* hint, size_t step) {
    const int64_t w = hint[1], h = hint[2], first = hint[3], last = hint[step - 1];
    switch (hint[0]) {
        case 1:
            return {w};
        case 2:
            return {h, w};
        case 3:
            return {last, h, w};
        case 4:
            return {last, first, h, w};
        default:
            return {};
    }
}

}  // namespace

void check_hints(const Layer& layer, const BlobShapes& shapes) {
    const Integers hints = layer.int_array(kShapeHints);
    if (hints.empty()) return;
    const size_t outputs = layer.outputs.size(), step = hints.size() / outputs;
    if ((step != 4 && step != 5) || step * outputs != hints.size()) {
        layer.fail(std::to_string(hints.size()) + " shape hints do not fit " + std::to_string(outputs) + " outputs");
    }
    for (size_t i = 0; i < outputs; ++i) {
        const int64_t* hint = hints.data() + i * step;
        const Shape& shape = shapes.at(layer.outputs[i]);
        if (hint[0] == 0) continue;  // unknown
        const Shape found = hinted(hint, step);
        if (found == shape && !(hint[0] == 4 && step == 4)) continue;
        layer.fail("its shape hint says " + (found.empty() ? "None" : tuple_text(found)) + " and " +
                   quoted(layer.outputs[i]) + " is " + tuple_text(shape) + "; remove parameter 30");
    }
}

}  // namespace pocketdet::graph
