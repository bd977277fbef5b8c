// libFuzzer: a graph. The text of a .param file, a zero byte, and the .bin file.
#include <algorithm>
#include <string_view>

#include "check_graph.h"
#include "fuzz_target.h"
#include "param_text.h"
#include "weight_file.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    return pocketdet::read_or_refuse(data, size, [](const std::vector<uint8_t>& bytes) {
        namespace graph = pocketdet::graph;
        const auto zero = std::find(bytes.begin(), bytes.end(), uint8_t{0});
        const auto weights = zero == bytes.end() ? zero : zero + 1;
        const std::string text(bytes.begin(), zero);
        graph::Graph read = graph::read_param_text(text, "x.param").graph;
        graph::read_weights(read, bytes.data() + (weights - bytes.begin()), static_cast<size_t>(bytes.end() - weights),
                            "x.bin");
        graph::check_graph(read, {{"in0", {3, 32, 32}}}, [](const std::string&) { return true; }, {"out0"}, {});
    });
}
