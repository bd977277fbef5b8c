// Wall time of each layer of a net. Every layer is called through a wrapper that reads the clock when it returns.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

namespace ncnn {
class Layer;
class Net;
}  // namespace ncnn

namespace pocketdet {

// Must not outlive its net.
class LayerTimer {
public:
    // The net is loaded; it keeps its layers as they are until `set(true)`.
    explicit LayerTimer(ncnn::Net& net);
    ~LayerTimer();
    LayerTimer(const LayerTimer&) = delete;
    LayerTimer& operator=(const LayerTimer&) = delete;

    // Whether the net calls the wrappers.
    void set(bool on);

    // Before a run gives the net its inputs: clears the times of the previous run. Does nothing while it is off.
    void begin();
    // After an output was extracted: the conversion of its values belongs to the layer that was the last to run.
    void extracted();

    // Names of the layers, without the inputs, in the order of the graph's file.
    const std::vector<std::string>& names() const { return names_; }
    // While it is on: what each layer took since `begin`, with the conversions of type and layout that ncnn makes
    // before it; 0 for one that did not run. Together they are the run.
    const std::vector<std::chrono::nanoseconds>& times() const { return times_; }

private:
    class TimedLayer;

    void lap(size_t layer);  // adds the time since the last call to that of `layer`

    ncnn::Net& net_;
    std::vector<std::string> names_;
    std::vector<std::chrono::nanoseconds> times_;
    std::vector<ncnn::Layer*> own_;                      // by place in the net
    std::vector<std::unique_ptr<TimedLayer>> wrappers_;  // by place in the net; none for inputs
    std::chrono::steady_clock::time_point last_;
    size_t running_ = 0;
    bool on_ = false;
};

}  // namespace pocketdet
