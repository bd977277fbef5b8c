#include "network.h"

#include <algorithm>
#include <cstring>

#include <ncnn/cpu.h>
#include <ncnn/datareader.h>
#include <ncnn/layer.h>
#include <ncnn/net.h>
#include <ncnn/platform.h>

#include "errors.h"
#include "graph_check.h"
#include "own_layers.h"

namespace pocketdet {

namespace {

// ncnn's own reader of memory does not know where the memory ends.
class BoundedReader : public ncnn::DataReader {
public:
    explicit BoundedReader(const std::vector<uint8_t>& data) : data_(data) {}

    size_t read(void* to, size_t size) const override {
        const size_t part = std::min(size, data_.size() - position_);
        std::memcpy(to, data_.data() + position_, part);
        position_ += part;
        return part;
    }

    bool at_end() const { return position_ == data_.size(); }

private:
    const std::vector<uint8_t>& data_;
    mutable size_t position_ = 0;
};

bool has_shape(const ncnn::Mat& mat, const std::vector<int>& shape, int rois) {
    if (mat.elempack != 1 || mat.elemsize != sizeof(float) || mat.dims != static_cast<int>(shape.size())) return false;
    const int sides[3][3] = {{mat.w, 0, 0}, {mat.h, mat.w, 0}, {mat.c, mat.h, mat.w}};
    if (shape.size() > 3) return false;
    for (size_t i = 0; i < shape.size(); ++i) {
        if (sides[shape.size() - 1][i] != (shape[i] == kAnyCount ? rois : shape[i])) return false;
    }
    return true;
}

// Where the net has the blob of a name, or -1, which ncnn refuses when it runs.
int blob_index(const ncnn::Net& net, const std::string& name) {
    const std::vector<ncnn::Blob>& blobs = net.blobs();
    const auto found =
        std::find_if(blobs.begin(), blobs.end(), [&](const ncnn::Blob& blob) { return blob.name == name; });
    return found == blobs.end() ? -1 : static_cast<int>(found - blobs.begin());
}

// Threads of one layer may ask for memory at once.
std::unique_ptr<ncnn::Allocator> workspace_for(int threads) {
    if (threads == 1) return std::make_unique<ncnn::UnlockedPoolAllocator>();
    return std::make_unique<ncnn::PoolAllocator>();
}

}  // namespace

bool ncnn_has_layer(const std::string& type) {
    // layer_to_index knows the names of layers that were left out, too
    const int index = ncnn::layer_to_index(type.c_str());
    if (index < 0) return false;
    const std::unique_ptr<ncnn::Layer> layer(ncnn::create_layer_cpu(index));
    return layer != nullptr;
}

std::vector<std::string> ncnn_cpu_features() {
    const struct {
        const char* name;
        int supported;
    } all[] = {
        {"avx", ncnn::cpu_support_x86_avx()},         {"fma", ncnn::cpu_support_x86_fma()},
        {"avx2", ncnn::cpu_support_x86_avx2()},       {"avx_vnni", ncnn::cpu_support_x86_avx_vnni()},
        {"avx512", ncnn::cpu_support_x86_avx512()},   {"avx512_vnni", ncnn::cpu_support_x86_avx512_vnni()},
        {"neon", ncnn::cpu_support_arm_neon()},       {"asimdhp", ncnn::cpu_support_arm_asimdhp()},
        {"asimddp", ncnn::cpu_support_arm_asimddp()}, {"asimdfhm", ncnn::cpu_support_arm_asimdfhm()},
        {"bf16", ncnn::cpu_support_arm_bf16()},       {"i8mm", ncnn::cpu_support_arm_i8mm()},
    };
    std::vector<std::string> names;
    for (const auto& feature : all) {
        if (feature.supported != 0) names.emplace_back(feature.name);
    }
    return names;
}

std::string ncnn_build() { return "ncnn " NCNN_VERSION_STRING " (" POCKETDET_NCNN_OPTIONS ")"; }

Network::Network(const Bundle& bundle, const GraphSpec& spec, const DetectorOptions& options, int rois)
    : spec_(spec),
      label_(bundle.folder.path()),
      blobs_(std::make_unique<ncnn::UnlockedPoolAllocator>()),
      workspace_(workspace_for(options.threads)),
      net_(std::make_unique<ncnn::Net>()) {
    check_network(bundle, spec, rois);
    const std::vector<uint8_t>& param = bundle.graph_files.at(spec.param);
    const Arithmetic arithmetic = arithmetic_in_use(options.precision.value_or(spec.arithmetic));
    net_->opt.num_threads = options.threads;
    net_->opt.use_vulkan_compute = false;
    set_arithmetic(net_->opt, arithmetic);
    net_->opt.blob_allocator = blobs_.get();
    net_->opt.workspace_allocator = workspace_.get();
    const std::string text(param.begin(), param.end());
    const std::string graph = options.own_layers() ? with_own_layers(*net_, text, arithmetic) : text;
    if (net_->load_param_mem(graph.c_str()) != 0) {
        throw EngineError(label_ + "/" + spec.param + ": ncnn " NCNN_VERSION_STRING " refuses the graph");
    }
    const BoundedReader reader(bundle.graph_files.at(spec.bin));
    if (net_->load_model(reader) != 0 || !reader.at_end()) {
        net_.release();  // left as it is: ncnn crashes when it takes down layers that it did not set up
        throw EngineError(label_ + "/" + spec.bin +
                          ": ncnn " NCNN_VERSION_STRING " refuses the weights, or they do not fit " + spec.param);
    }
    input_ = blob_index(*net_, spec.input.blob);
    for (const TensorSpec& output : spec.outputs) outputs_.push_back(blob_index(*net_, output.blob));
}

Network::~Network() = default;

LayerTimer& Network::layer_timer() {
    if (layer_timer_ == nullptr) layer_timer_ = std::make_unique<LayerTimer>(*net_);
    return *layer_timer_;
}

std::vector<ncnn::Mat> Network::run(const ncnn::Mat& input, int rois) const {
    if (layer_timer_ != nullptr) layer_timer_->begin();
    ncnn::Extractor extractor = net_->create_extractor();
    extractor.set_light_mode(true);
    if (extractor.input(input_, input) != 0) {
        throw EngineError(label_ + ": ncnn refuses an input for '" + spec_.input.blob + "'");
    }
    std::vector<ncnn::Mat> outputs;
    for (size_t i = 0; i < outputs_.size(); ++i) {
        const TensorSpec& output = spec_.outputs[i];
        ncnn::Mat mat;
        const int status = extractor.extract(outputs_[i], mat);
        if (layer_timer_ != nullptr) layer_timer_->extracted();
        if (status != 0) {
            throw EngineError(label_ + ": ncnn failed in " + spec_.param + " at blob '" + output.blob + "' (status " +
                              std::to_string(status) + ")");
        }
        if (!has_shape(mat, output.shape, rois)) {
            throw EngineError(label_ + ": blob '" + output.blob + "' of " + spec_.param +
                              " has another shape than the manifest says");
        }
        outputs.push_back(mat);
    }
    return outputs;
}

}  // namespace pocketdet
