// Graphs that the tests of the rules share, and how they are checked.
#pragma once

#include <cstring>

#include "check_graph.h"
#include "expect.h"
#include "graph_error.h"
#include "param_text.h"
#include "weight_file.h"
#include "weight_slots.h"

namespace pocketdet::graph {

inline const NamedShapes kInput{{"in0", {3, 16, 16}}};
inline const std::string kBase =
    "7767517\n"
    "14 16\n"
    "Input in0 0 1 in0\n"
    "Convolution conv 1 1 in0 a 0=8 1=3 3=2 4=1 5=1 6=216 9=2 -23310=1,1.0e-01\n"
    "Split split 1 2 a b c\n"
    "Slice slice 1 2 b d e -23300=2,-233,-233\n"
    "ConvolutionDepthWise dw 1 1 d f 0=4 1=5 4=2 5=1 6=100 7=4\n"
    "Concat cat 2 1 f e g\n"
    "ShuffleChannel shuffle 1 1 g h 0=2\n"
    "Eltwise add 2 1 h c i 0=1 -23301=2,1.0,0.5\n"
    "Pooling pool 1 1 i j 0=1 1=2 2=2\n"
    "Interp up 1 1 j k 0=2 1=2.0 2=2.0\n"
    "Permute permute 1 1 k l 0=3\n"
    "Reshape reshape 1 1 l m 0=8 1=-1\n"
    "InnerProduct fc 1 1 m n 0=5 1=1 2=40\n"
    "Softmax softmax 1 1 n out0 0=1 1=1\n";

struct Edit {
    const char *old_part, *new_part, *message;
};

inline std::string replaced(std::string text, const Edit& edit) {
    const size_t at = text.find(edit.old_part);
    CHECK(at != std::string::npos);
    return text.replace(at, std::strlen(edit.old_part), edit.new_part);
}

// The .bin file that a graph needs, of zeros: tags of fp32 and zero weights.
inline Bytes weights_of(const Graph& graph) {
    int64_t bytes = 0;
    for (const Layer& layer : graph.layers) {
        for (const Slot& slot : weight_slots(layer)) bytes += 4 * elements_of(slot.shape) + (slot.tagged ? 4 : 0);
    }
    return Bytes(static_cast<size_t>(bytes));
}

inline const std::string kAnyCounts = "7767517\n1 1\n";  // for a text whose counts are not the test's matter

inline bool has_layer(const std::string& type) { return type != "TanH"; }

inline CheckedGraph check(const std::string& text, const NamedShapes& inputs = kInput, const Limits& limits = {},
                          const std::vector<std::string>& outputs = {"out0"}) {
    Graph graph = read_param_text(text, "m.param").graph;
    if (text.rfind(kAnyCounts, 0) == 0) graph.header.reset();
    check_header(graph);
    const Bytes weights = weights_of(graph);
    read_weights(graph, weights.data(), weights.size(), "m.bin");
    return check_graph(graph, inputs, has_layer, outputs, limits);
}

inline void refuse(const std::function<void()>& action, const char* message) {
    CHECK(contains(message_of<GraphError>(action), message));
}

inline std::string chain(int count, const std::string& layer) {
    std::string text =
        "7767517\n" + std::to_string(count + 1) + " " + std::to_string(count + 1) + "\nInput i 0 1 in0\n";
    for (int i = 0; i < count; ++i) {
        const std::string from = i == 0 ? "in0" : "b" + std::to_string(i), index = std::to_string(i);
        text +=
            layer + " l" + index + " 1 1 " + from + (i + 1 == count ? " out0\n" : " b" + std::to_string(i + 1) + "\n");
    }
    return text;
}

// One layer between an input and out0.
inline std::string single(const std::string& line) { return "7767517\n2 2\nInput i 0 1 in0\n" + line + "\n"; }

}  // namespace pocketdet::graph
