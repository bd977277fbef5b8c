#include "joined_layers.h"

#include <memory>
#include <set>
#include <sstream>

#include <ncnn/layer_type.h>
#include <ncnn/net.h>
#include <ncnn/paramdict.h>

#include "packed_layer.h"
#include "packed_layers.h"

namespace pocketdet {

namespace {

constexpr char kHandOn[] = "PocketdetHandOn";
constexpr char kShuffled[] = "PocketdetShuffled";

class HandOn : public PackedLayer {
public:
    explicit HandOn(const Kernels& kernels) : PackedLayer(kernels) {
        one_blob_only = false;
        support_any_packing = true;
    }

    int forward(const std::vector<ncnn::Mat>& inputs, std::vector<ncnn::Mat>& outputs,
                const ncnn::Option&) const override {
        outputs = inputs;
        return 0;
    }
};

// Channels 0, C, 1, C + 1, ... of two maps of C channels, or in reverse channels 0, 2, 4, ... and then 1, 3, 5, ...:
// all of them, or the first half of them and the others.
class Shuffled : public PackedLayer {
public:
    explicit Shuffled(const Kernels& kernels) : PackedLayer(kernels) { one_blob_only = false; }

    int load_param(const ncnn::ParamDict& params) override {
        reverse_ = params.get(1, 0);
        return 0;
    }

    int create_pipeline(const ncnn::Option& option) override {
        ncnn::ParamDict groups, halves;
        groups.set(0, 2);
        groups.set(1, reverse_);
        ncnn::Mat sizes(2);
        if (sizes.empty()) return -100;
        static_cast<int*>(sizes.data)[0] = static_cast<int*>(sizes.data)[1] = -233;  // what is left, equally
        halves.set(0, sizes);
        const ncnn::ParamDict along_channels;
        const std::pair<int, const ncnn::ParamDict*> parts[] = {{ncnn::LayerType::Concat, &along_channels},
                                                                {ncnn::LayerType::ShuffleChannel, &groups},
                                                                {ncnn::LayerType::Slice, &halves}};
        for (size_t i = 0; i < 3; ++i) {
            ncnns_[i].reset(ncnn::create_layer_cpu(parts[i].first));
            if (!ncnns_[i] || ncnns_[i]->load_param(*parts[i].second) != 0) return -1;
            const int status = ncnns_[i]->create_pipeline(option);
            if (status != 0) return status;
        }
        return 0;
    }

    int destroy_pipeline(const ncnn::Option& option) override {
        for (auto& layer : ncnns_) {
            if (layer) layer->destroy_pipeline(option);
        }
        return 0;
    }

    int forward(const std::vector<ncnn::Mat>& inputs, std::vector<ncnn::Mat>& outputs,
                const ncnn::Option& option) const override {
        const ncnn::Mat &a = inputs[0], &b = inputs[1];
        const bool alike = a.dims == 3 && b.dims == 3 && a.w == b.w && a.h == b.h && a.c == b.c;
        if (!alike || !is_packed(a) || !is_packed(b)) return by_ncnn(inputs, outputs, option);
        const int groups = outputs.size() == 1 ? 2 * a.c : a.c;
        for (ncnn::Mat& half : outputs) {
            half.create(a.w, a.h, groups, a.elemsize, a.elempack, option.blob_allocator);
            if (half.empty()) return -100;
        }
        const auto group = [&](int i) { return outputs[i / groups].channel(i % groups).data; };
        const auto joined = [&](int i) { return (i < a.c ? a.channel(i) : b.channel(i - a.c)).data; };
        for (int c = 0; c < a.c; ++c) {
            if (reverse_ != 0) {
                kernels_.separate(joined(2 * c), joined(2 * c + 1), a.w * a.h, group(c), group(a.c + c));
                continue;
            }
            kernels_.interleave(a.channel(c).data, b.channel(c).data, a.w * a.h, group(2 * c), group(2 * c + 1));
        }
        return 0;
    }

private:
    int by_ncnn(const std::vector<ncnn::Mat>& inputs, std::vector<ncnn::Mat>& outputs,
                const ncnn::Option& option) const {
        std::vector<ncnn::Mat> joined(1), shuffled(1);
        int status = ncnns_[0]->forward(inputs, joined, option);
        if (status == 0) status = ncnns_[1]->forward(joined[0], shuffled[0], option);
        if (outputs.size() == 1) outputs = shuffled;
        return status == 0 && outputs.size() == 2 ? ncnns_[2]->forward(shuffled, outputs, option) : status;
    }

    std::unique_ptr<ncnn::Layer> ncnns_[3];
    int reverse_ = 0;
};

// A graph's text, line by line. Each blob has one reader, and an output of the graph has none (graph/wiring.h): no
// other layer reads the blobs between joined layers.
struct GraphText {
    explicit GraphText(const std::string& param) {
        std::istringstream stream(param);
        for (std::string line; std::getline(stream, line);) {
            lines.push_back(line);
            layers.emplace_back(line);
            blobs.insert(layers.back().outputs.begin(), layers.back().outputs.end());
        }
    }

    void put(size_t i, const char* type, const std::vector<std::string>& inputs,
             const std::vector<std::string>& outputs) {
        lines[i] = std::string(type) + " " + layers[i].name + " " + std::to_string(inputs.size()) + " " +
                   std::to_string(outputs.size());
        for (const auto* names : {&inputs, &outputs}) {
            for (const std::string& blob : *names) lines[i] += " " + blob;
        }
    }

    void count_more_blobs(int added) {
        int layer_count = 0, blob_count = 0;
        std::istringstream(lines[1]) >> layer_count >> blob_count;
        lines[1] = std::to_string(layer_count) + " " + std::to_string(blob_count + added);
    }

    std::string text() const {
        std::string result;
        for (const std::string& line : lines) result += line + "\n";
        return result;
    }

    std::vector<std::string> lines;
    std::vector<LayerLine> layers;  // as they were
    std::set<std::string> blobs;
};

bool is_shuffled(const GraphText& graph, size_t i) {
    const LayerLine &concat = graph.layers[i], &shuffle = graph.layers[i + 1];
    return concat.type == "Concat" && concat.inputs.size() == 2 && concat.has_only({0}) && concat.get(0, 0) == 0 &&
           shuffle.type == "ShuffleChannel" && shuffle.has_only({0, 1}) && shuffle.get(0, 1) == 2 &&
           (shuffle.get(1, 0) == 0 || shuffle.get(1, 0) == 1) && shuffle.inputs == concat.outputs;
}

// Halves are equal parts: check_graph has seen that they are all channels, or a part is -233, what is left of them.
bool is_halved(const GraphText& graph, size_t i) {
    const LayerLine &shuffle = graph.layers[i], &slice = graph.layers[i + 1];
    const std::vector<float> parts = slice.numbers(-23300);
    return slice.type == "Slice" && slice.outputs.size() == 2 && slice.inputs == shuffle.outputs &&
           slice.has_only({-23300, 1}) && slice.get(1, 0) == 0 && parts.size() == 2 && parts[0] == parts[1];
}

void join_shuffled(GraphText& graph, size_t i) {
    const std::string &joined = graph.layers[i].outputs[0], &shuffled = graph.layers[i + 1].outputs[0];
    const std::string second = joined + "/second", also = shuffled + "/second";
    if (graph.blobs.count(second) + graph.blobs.count(also) > 0) return;
    const std::string order = graph.layers[i + 1].get(1, 0) == 0 ? "" : " 1=1";
    graph.put(i, kHandOn, graph.layers[i].inputs, {joined, second});
    if (i + 2 < graph.lines.size() && is_halved(graph, i + 1)) {
        graph.put(i + 1, kHandOn, {joined, second}, {shuffled, also});
        graph.put(i + 2, kShuffled, {shuffled, also}, graph.layers[i + 2].outputs);
        graph.lines[i + 2] += order;
        graph.count_more_blobs(2);
    } else {
        graph.put(i + 1, kShuffled, {joined, second}, {shuffled});
        graph.lines[i + 1] += order;
        graph.count_more_blobs(1);
    }
}

bool is_fully_connected_with_relu(const GraphText& graph, size_t i) {
    const LayerLine &product = graph.layers[i], &relu = graph.layers[i + 1];
    return (product.type == kFullyConnected || product.type == kByteFullyConnected) && relu.type == "ReLU" &&
           relu.has_only({0}) && relu.get(0, 0) == 0 && relu.inputs == product.outputs;
}

void join_relu(GraphText& graph, size_t i) {
    graph.lines[i] += " " + std::to_string(kFullyConnectedRelu) + "=1";
    graph.put(i + 1, kHandOn, graph.layers[i + 1].inputs, graph.layers[i + 1].outputs);
}

}  // namespace

std::string with_joined_layers(ncnn::Net& net, const std::string& param, const Kernels& kernels) {
    void* const userdata = const_cast<Kernels*>(&kernels);
    net.register_custom_layer(kHandOn, create_packed<HandOn>, nullptr, userdata);
    net.register_custom_layer(kShuffled, create_packed<Shuffled>, nullptr, userdata);
    GraphText graph(param);
    for (size_t i = 2; i + 1 < graph.lines.size(); ++i) {
        if (is_fully_connected_with_relu(graph, i)) join_relu(graph, i);
        if (is_shuffled(graph, i)) join_shuffled(graph, i);
    }
    return graph.text();
}

}  // namespace pocketdet
