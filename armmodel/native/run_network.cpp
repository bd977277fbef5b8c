// run_network PARAM BIN|- PRECISION INPUT=SHAPE... : runs a network of ncnn, on constant inputs and one thread.
//
// The third of three frames finds the caches, and the memory that ncnn keeps, as any later one does.
// Prints the names of the outputs, in the order in which it extracts them.
// BIN is "-" for weights of zero. PRECISION is fp32, fp16-storage, fp16 or bf16-storage. A shape is W, HxW or CxHxW.
// Layers that decode boxes at the end of published networks, which no bundle holds, are replaced by idle ones.
// What lies between the two clock readings of run_frame is a frame, as in Detector::detect of pocketdet-run.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include <ncnn/datareader.h>
#include <ncnn/layer.h>
#include <ncnn/net.h>

namespace {

constexpr int kFrames = 3;

class ZeroWeights : public ncnn::DataReader {
public:
    size_t read(void* to, size_t size) const override {
        std::memset(to, 0, size);
        return size;
    }
};

class IdleLayer : public ncnn::Layer {
public:
    int forward(const std::vector<ncnn::Mat>&, std::vector<ncnn::Mat>& tops,
                const ncnn::Option& option) const override {
        for (ncnn::Mat& top : tops) {
            top.create(8, 2, sizeof(float), option.blob_allocator);
            if (top.empty()) return -100;
            top.fill(0.0f);
        }
        return 0;
    }
};

ncnn::Layer* create_idle_layer(void*) { return new IdleLayer; }

struct Input {
    std::string name;
    ncnn::Mat value;
};

Input parse_input(const std::string& word) {
    const size_t equals = word.rfind('=');
    int sides[3] = {0, 0, 0};
    const int count = std::sscanf(word.c_str() + equals + 1, "%dx%dx%d", &sides[0], &sides[1], &sides[2]);
    ncnn::Mat value = count == 1   ? ncnn::Mat(sides[0])
                      : count == 2 ? ncnn::Mat(sides[1], sides[0])
                                   : ncnn::Mat(sides[2], sides[1], sides[0]);
    value.fill(0.01f);
    return {word.substr(0, equals), value};
}

void set_precision(ncnn::Option& option, const std::string& precision) {
    const bool half = precision == "fp16" || precision == "fp16-storage";
    option.use_fp16_packed = option.use_fp16_storage = half;
    option.use_fp16_arithmetic = precision == "fp16";
    option.use_bf16_packed = option.use_bf16_storage = precision == "bf16-storage";
    option.use_vulkan_compute = false;
    option.num_threads = 1;
}

}  // namespace

// not inlined: its address marks the beginning of a frame
extern "C" __attribute__((noinline)) long run_frame(const ncnn::Net& net, const std::vector<Input>& inputs) {
    const auto start = std::chrono::steady_clock::now();
    {
        ncnn::Extractor extractor = net.create_extractor();
        for (const Input& input : inputs) {
            if (extractor.input(input.name.c_str(), input.value) != 0) return -1;
        }
        for (const int output : net.output_indexes()) {
            ncnn::Mat value;
            if (extractor.extract(output, value) != 0) return -1;
        }
    }
    return static_cast<long>((std::chrono::steady_clock::now() - start).count());
}

int main(int argc, char** argv) {
    if (argc < 5) {
        std::fprintf(stderr, "run_network PARAM BIN|- PRECISION INPUT=SHAPE...\n");
        return 2;
    }
    std::vector<Input> inputs;
    for (int i = 4; i < argc; ++i) inputs.push_back(parse_input(argv[i]));
    ncnn::UnlockedPoolAllocator blobs, workspace;                                // outlive the net
    for (auto* pool : {&blobs, &workspace}) pool->set_size_compare_ratio(0.0f);  // as in ncnn's benchmark
    ncnn::Net net;
    set_precision(net.opt, argv[3]);
    net.opt.blob_allocator = &blobs;
    net.opt.workspace_allocator = &workspace;
    for (const char* type : {"PriorBox", "DetectionOutput", "YoloDetectionOutput", "Yolov3DetectionOutput"}) {
        net.register_custom_layer(type, create_idle_layer);
    }
    if (net.load_param(argv[1]) != 0) {
        std::fprintf(stderr, "ncnn refuses the graph: a layer type is not in this build, or the file is damaged\n");
        return 2;
    }
    const ZeroWeights zeros;
    if ((std::strcmp(argv[2], "-") == 0 ? net.load_model(zeros) : net.load_model(argv[2])) != 0) {
        std::fprintf(stderr, "ncnn refuses the weights\n");
        std::_Exit(2);  // ncnn crashes when it takes down layers that it did not set up
    }
    for (const char* name : net.output_names()) std::printf("%s\n", name);
    for (int frame = 0; frame < kFrames; ++frame) {
        if (run_frame(net, inputs) < 0) {
            std::fprintf(stderr, "ncnn fails to run the network\n");
            return 2;
        }
    }
    return 0;
}
