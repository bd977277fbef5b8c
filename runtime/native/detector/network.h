// One ncnn network, loaded from checked bytes.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <ncnn/mat.h>

#include "bundle.h"
#include "layer_timer.h"
#include "options.h"

namespace ncnn {
class Net;
class Allocator;
class UnlockedPoolAllocator;
}  // namespace ncnn

namespace pocketdet {

// Whether the ncnn of this program has a layer type; it was built with a choice of them.
bool ncnn_has_layer(const std::string& type);

// The processor features that this ncnn chooses its kernels by, such as "avx512" or "asimdhp".
std::vector<std::string> ncnn_cpu_features();

// The version of ncnn and the options it was built with.
std::string ncnn_build();

class Network {
public:
    // Throws GraphError for a graph that check_network refuses, EngineError if ncnn refuses it. The precision asked
    // for, or else what the graph was made for, is used if this processor has it. `rois` is the most RoIs that the
    // manifest has a run take, 0 for a graph whose shapes do not depend on them.
    Network(const Bundle& bundle, const GraphSpec& spec, const DetectorOptions& options, int rois);
    ~Network();
    Network(const Network&) = delete;
    Network& operator=(const Network&) = delete;

    // The outputs in the order of the manifest, float32 with one channel per element, of the shapes that the manifest
    // gives (`rois` for the count of RoIs). Throws EngineError.
    std::vector<ncnn::Mat> run(const ncnn::Mat& input, int rois) const;

    // The clock of its layers, made by the first call; off at first.
    LayerTimer& layer_timer();

private:
    GraphSpec spec_;
    std::string label_;
    std::unique_ptr<ncnn::UnlockedPoolAllocator> blobs_;  // both outlive the net
    std::unique_ptr<ncnn::Allocator> workspace_;          // shared by the threads of a layer
    std::unique_ptr<ncnn::Net> net_;
    int input_;                 // places of blobs in the net: ncnn would compare names with each blob's at each run
    std::vector<int> outputs_;  // as in the manifest
    std::unique_ptr<LayerTimer> layer_timer_;  // if it was asked for
};

}  // namespace pocketdet
