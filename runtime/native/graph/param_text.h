// The .param text format: 7767517, the counts, then one layer a line:
// type name input_count output_count inputs... outputs... id=value..., separated by blanks.
//
// ncnn's scanner would also take tokens over several lines; writers never do that, and here a layer is exactly one
// line.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "model.h"

namespace pocketdet::graph {

constexpr size_t kMaxParamBytes = size_t{8} << 20;

// A graph without weights, and the text around and of its layers: `header`, then `lines`, then `trailer` are the whole
// file. They point into the text that was read.
struct ParamText {
    Graph graph;
    std::string_view header, trailer;
    std::vector<std::string_view> lines;
};

// `source` names the file in messages. Layers beyond the declared count are kept: check_header refuses them. Throws
// GraphError naming the line.
ParamText read_param_text(std::string_view text, const std::string& source);

// One layer from its line, which may have blank lines before it. `origin` is where it was read.
Layer read_layer(std::string_view line, const std::string& origin);

}  // namespace pocketdet::graph
