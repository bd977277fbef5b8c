#include "layer_timer.h"

#include <algorithm>

#include <ncnn/layer.h>
#include <ncnn/layer_type.h>
#include <ncnn/net.h>

namespace pocketdet {

// Has the fields of the layer, by which ncnn prepares its inputs. They are copied one by one: ncnn::Layer has others
// that it leaves uninitialised, so that its copy constructor is undefined behaviour.
class LayerTimer::TimedLayer : public ncnn::Layer {
public:
    TimedLayer(const ncnn::Layer& own, LayerTimer& timer, size_t index) : own_(own), timer_(timer), index_(index) {
        one_blob_only = own.one_blob_only;
        support_inplace = own.support_inplace;
        support_packing = own.support_packing;
        support_any_packing = own.support_any_packing;
        support_bf16_storage = own.support_bf16_storage;
        support_fp16_storage = own.support_fp16_storage;
        support_int8_storage = own.support_int8_storage;
        support_batch = own.support_batch;
        featmask = own.featmask;
        typeindex = own.typeindex;
        type = own.type;
        name = own.name;
        bottoms = own.bottoms;
        tops = own.tops;
        bottom_shapes = own.bottom_shapes;
        top_shapes = own.top_shapes;
    }

    int forward(const std::vector<ncnn::Mat>& bottoms_in, std::vector<ncnn::Mat>& tops_out,
                const ncnn::Option& option) const override {
        return timed(own_.forward(bottoms_in, tops_out, option));
    }
    int forward(const ncnn::Mat& bottom, ncnn::Mat& top, const ncnn::Option& option) const override {
        return timed(own_.forward(bottom, top, option));
    }
    int forward_inplace(std::vector<ncnn::Mat>& blobs, const ncnn::Option& option) const override {
        return timed(own_.forward_inplace(blobs, option));
    }
    int forward_inplace(ncnn::Mat& blob, const ncnn::Option& option) const override {
        return timed(own_.forward_inplace(blob, option));
    }

private:
    int timed(int status) const {
        timer_.lap(index_);
        return status;
    }

    const ncnn::Layer& own_;
    LayerTimer& timer_;
    const size_t index_;
};

LayerTimer::LayerTimer(ncnn::Net& net) : net_(net), own_(net.layers()), wrappers_(own_.size()) {
    for (size_t i = 0; i < own_.size(); ++i) {
        if (own_[i]->typeindex == ncnn::LayerType::Input) continue;
        wrappers_[i] = std::make_unique<TimedLayer>(*own_[i], *this, names_.size());
        names_.push_back(own_[i]->name);
    }
    times_.resize(names_.size());
}

LayerTimer::~LayerTimer() { set(false); }

void LayerTimer::set(bool on) {
    on_ = on;
    for (size_t i = 0; i < own_.size(); ++i) {
        if (wrappers_[i] != nullptr) net_.mutable_layers()[i] = on ? wrappers_[i].get() : own_[i];
    }
}

void LayerTimer::begin() {
    if (!on_) return;  // reads no clock: `pocketdet cycles` divides a frame into stages where the clock is read
    std::fill(times_.begin(), times_.end(), std::chrono::nanoseconds(0));
    last_ = std::chrono::steady_clock::now();
}

void LayerTimer::extracted() {
    if (on_ && !times_.empty()) lap(running_);
}

void LayerTimer::lap(size_t layer) {
    const auto now = std::chrono::steady_clock::now();
    times_[layer] += now - last_;
    last_ = now;
    running_ = layer;
}

}  // namespace pocketdet
