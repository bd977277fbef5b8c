#include "joined_shuffle.h"

#include <memory>
#include <set>
#include <sstream>

#include <ncnn/layer_type.h>
#include <ncnn/net.h>
#include <ncnn/paramdict.h>

#include "packed_layer.h"

namespace pocketdet {

namespace {

constexpr char kHandOn[] = "PocketdetHandOn";
constexpr char kShuffledHalves[] = "PocketdetShuffledHalves";

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

// Channels 0, C, 1, C + 1, ... of two maps of C channels: the first half of them, and the others.
class ShuffledHalves : public PackedLayer {
public:
    explicit ShuffledHalves(const Kernels& kernels) : PackedLayer(kernels) { one_blob_only = false; }

    int create_pipeline(const ncnn::Option& option) override {
        ncnn::ParamDict groups, halves;
        groups.set(0, 2);
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
        for (ncnn::Mat& half : outputs) {
            half.create(a.w, a.h, a.c, a.elemsize, a.elempack, option.blob_allocator);
            if (half.empty()) return -100;
        }
        const auto group = [&](int i) { return outputs[i < a.c ? 0 : 1].channel(i % a.c).data; };
        for (int c = 0; c < a.c; ++c) {
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
        return status == 0 ? ncnns_[2]->forward(shuffled, outputs, option) : status;
    }

    std::unique_ptr<ncnn::Layer> ncnns_[3];
};

bool ends_unit(const LayerLine& concat, const LayerLine& shuffle, const LayerLine& slice, const std::string& text) {
    return concat.type == "Concat" && concat.inputs.size() == 2 && concat.has_only({0}) && concat.get(0, 0) == 0 &&
           shuffle.type == "ShuffleChannel" && shuffle.has_only({0, 1}) && shuffle.get(0, 1) == 2 &&
           shuffle.get(1, 0) == 0 && shuffle.inputs == concat.outputs && slice.type == "Slice" &&
           slice.outputs.size() == 2 && slice.inputs == shuffle.outputs && slice.has_only({-23300, 1}) &&
           slice.get(1, 0) == 0 && text.find(" -23300=2,-233,-233") != std::string::npos;
}

std::string line_of(const char* type, const LayerLine& line, const std::vector<std::string>& blobs) {
    std::string text = std::string(type) + " " + line.name + " 2 2";
    for (const std::string& blob : blobs) text += " " + blob;
    return text;
}

}  // namespace

std::string with_joined_shuffles(ncnn::Net& net, const std::string& param, const Kernels& kernels) {
    void* const userdata = const_cast<Kernels*>(&kernels);
    net.register_custom_layer(kHandOn, create_packed<HandOn>, nullptr, userdata);
    net.register_custom_layer(kShuffledHalves, create_packed<ShuffledHalves>, nullptr, userdata);
    std::vector<std::string> lines;
    std::vector<LayerLine> layers;
    std::set<std::string> blobs;
    std::istringstream stream(param);
    for (std::string text; std::getline(stream, text);) {
        lines.push_back(text);
        layers.emplace_back(text);
        blobs.insert(layers.back().outputs.begin(), layers.back().outputs.end());
    }
    int added = 0;
    for (size_t i = 2; i + 2 < lines.size(); ++i) {
        const LayerLine &concat = layers[i], &shuffle = layers[i + 1], &slice = layers[i + 2];
        if (!ends_unit(concat, shuffle, slice, lines[i + 2])) continue;
        const std::string &joined = concat.outputs[0], &shuffled = shuffle.outputs[0];
        const std::string second = joined + "/second", also = shuffled + "/second";
        if (blobs.count(second) + blobs.count(also) > 0) continue;
        lines[i] = line_of(kHandOn, concat, {concat.inputs[0], concat.inputs[1], joined, second});
        lines[i + 1] = line_of(kHandOn, shuffle, {joined, second, shuffled, also});
        lines[i + 2] = line_of(kShuffledHalves, slice, {shuffled, also, slice.outputs[0], slice.outputs[1]});
        added += 2;
    }
    if (added > 0) {
        int layer_count = 0, blob_count = 0;
        std::istringstream(lines[1]) >> layer_count >> blob_count;
        lines[1] = std::to_string(layer_count) + " " + std::to_string(blob_count + added);
    }
    std::string result;
    for (const std::string& line : lines) result += line + "\n";
    return result;
}

}  // namespace pocketdet
