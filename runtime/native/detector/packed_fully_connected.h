// The base class of the fully connected layers of a head: rows of one RoI each, whose elements are not packed.
#pragma once

#include <ncnn/paramdict.h>

#include "packed_layer.h"
#include "packed_layers.h"

namespace pocketdet {

class PackedFullyConnected : public PackedLayer {
public:
    // outputs_id: the parameter of ncnn's Gemm that has the number of outputs, 7 or 8 with the constant's side.
    PackedFullyConnected(const Kernels& kernels, int outputs_id) : PackedLayer(kernels), outputs_id_(outputs_id) {
        support_packing = false;
    }

    int load_param(const ncnn::ParamDict& params) override {
        outputs_ = params.get(outputs_id_, 0);
        inputs_ = params.get(9, 0);
        relu_ = params.get(kFullyConnectedRelu, 0) != 0;
        return 0;
    }

    int forward(const ncnn::Mat& rows, ncnn::Mat& out, const ncnn::Option& option) const override {
        if (rows.dims != 2 || rows.w != inputs_ || rows.elemsize != kernels_.element_size) return -1;
        out.create(outputs_, rows.h, kernels_.element_size, option.blob_allocator);
        const ncnn::Mat to =
            filled_up(outputs_) == outputs_
                ? out
                : ncnn::Mat(filled_up(outputs_), rows.h, kernels_.element_size, option.workspace_allocator);
        if (out.empty() || to.empty()) return -100;
        const int status = multiply(rows, to, option);
        if (status == 0 && to.data != out.data) copy_rows(to, out);
        return status;
    }

protected:
    // The products of `rows` into `to`, whose width is the number of outputs rounded up to whole vectors.
    virtual int multiply(const ncnn::Mat& rows, const ncnn::Mat& to, const ncnn::Option& option) const = 0;

    const int outputs_id_;
    int outputs_ = 0, inputs_ = 0;
    bool relu_ = false;
};

}  // namespace pocketdet
