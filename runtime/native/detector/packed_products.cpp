// The fully connected layers of a head in float32 or half precision.
#include <cstring>

#include <ncnn/modelbin.h>

#include "packed_fully_connected.h"

namespace pocketdet {

namespace {

// Rows times constant, transposed weights plus a constant for each column.
bool is_fully_connected(const LayerLine& line) {
    return line.has_only({10, 2, 3, 4, 5, 6, 7, 8, 9}) && line.get(10, 0) == 4 && line.get(2, 0) == 0 &&
           line.get(3, 0) == 1 && line.get(4, 0) == 0 && line.get(5, 0) == 1 && line.get(6, 0) == 1 &&
           line.get(8, 0) > 0 && line.get(9, 0) > 0;
}

class FullyConnected : public PackedFullyConnected {
public:
    explicit FullyConnected(const Kernels& kernels) : PackedFullyConnected(kernels, 8) {}

    int load_model(const ncnn::ModelBin& model) override {
        const ncnn::Mat weights = model.load(inputs_, outputs_, 0), bias = model.load(outputs_, 1, 0);
        for (const ncnn::Mat* mat : {&weights, &bias}) {
            if (mat->empty() || mat->elemsize != sizeof(float)) return -100;
        }
        std::vector<float> filled(static_cast<size_t>(filled_up(inputs_)) * static_cast<size_t>(outputs_));
        for (int o = 0; o < outputs_; ++o) {
            std::copy_n(weights.row(o), inputs_, filled.begin() + static_cast<std::ptrdiff_t>(o) * filled_up(inputs_));
        }
        weights_ = elements_of(in_batches(filled.data(), outputs_, filled_up(inputs_), 2));
        std::vector<float> bias_filled(static_cast<size_t>(filled_up(outputs_)));
        std::copy_n(static_cast<const float*>(bias), outputs_, bias_filled.begin());
        bias_ = elements_of(bias_filled);
        return weights_.empty() || bias_.empty() ? -100 : 0;
    }

private:
    int multiply(const ncnn::Mat& rows, const ncnn::Mat& to, const ncnn::Option& option) const override {
        const ncnn::Mat from = with_width(rows, filled_up(inputs_), option);
        if (from.empty()) return -100;
        const int lanes = kernels_.lanes;
        const Activation activation{relu_ ? Activation::Kind::relu : Activation::Kind::none};
        kernels_.product({from.data, lanes, from.w, from.w / lanes, from.h, weights_.data, bias_.data, to.data, lanes,
                          to.w, to.w / lanes, activation});
        return 0;
    }

    // Rows of `width` elements, which is at least that of `rows`; those that are added are zero.
    ncnn::Mat with_width(const ncnn::Mat& rows, int width, const ncnn::Option& option) const {
        if (rows.w == width) return rows;
        ncnn::Mat wide(width, rows.h, kernels_.element_size, option.workspace_allocator);
        if (wide.empty()) return wide;
        std::memset(wide.data, 0, wide.total() * wide.elemsize);
        copy_rows(rows, wide);
        return wide;
    }

    ncnn::Mat weights_, bias_;
};

}  // namespace

void add_products(const Kernels& kernels, std::vector<OwnLayer>& layers) {
    layers.push_back(packed_layer<FullyConnected>("Gemm", kFullyConnected, is_fully_connected, kernels));
}

}  // namespace pocketdet
