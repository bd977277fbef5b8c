// What a shape rule is, and the checks that rules share.
//
// A rule refuses whatever ncnn would read out of bounds, leave uninitialised or fail on, so that a graph with shapes is
// a graph that runs. Parameters fit 32 bits and blobs have at most 2^28 elements, so that sums and single products of
// them fit 64 bits; longer products stop at the largest number (numbers.h).
#pragma once

#include <initializer_list>
#include <string>

#include "model.h"

namespace pocketdet::graph {

// Output shapes of a layer from the shapes of its inputs. Throws GraphError.
using Rule = Shapes (*)(const Layer& layer, const Shapes& inputs);

constexpr int kMany = 4096;
constexpr int64_t kKeep = -233;  // "as it is", in many parameters of ncnn

// Whether a blob may have the shape: neither empty nor too large for ncnn's 32-bit arithmetic.
bool is_blob_shape(const Shape& shape);

// Throws GraphError when no blob may have the shape.
void expect_blob_shape(const Layer& layer, const Shape& shape);

// Throws GraphError unless the shape has one of these numbers of dimensions.
void expect_dims(const Layer& layer, const Shape& shape, std::initializer_list<size_t> dims);

// The value; throws GraphError when it is outside low..high.
int64_t expect_range(const Layer& layer, const std::string& what, int64_t value, int64_t low, int64_t high);

// A possibly negative axis as an index into the shape. Throws GraphError when it is outside.
size_t axis_of(const Layer& layer, int64_t axis, size_t dims);

// Throws GraphError for a fused activation (parameters 9 and 10) that ncnn would read out of bounds.
void check_activation(const Layer& layer);

// convolution.cpp
Shapes convolution_shapes(const Layer& layer, const Shapes& inputs);
Shapes deconvolution_shapes(const Layer& layer, const Shapes& inputs);
Shapes deformable_shapes(const Layer& layer, const Shapes& inputs);

// pooling.cpp
Shapes pooling_shapes(const Layer& layer, const Shapes& inputs);
Shapes interp_shapes(const Layer& layer, const Shapes& inputs);
Shapes reduction_shapes(const Layer& layer, const Shapes& inputs);

// layout.cpp
Shapes reshape_shapes(const Layer& layer, const Shapes& inputs);
Shapes flatten_shapes(const Layer& layer, const Shapes& inputs);
Shapes permute_shapes(const Layer& layer, const Shapes& inputs);
Shapes squeeze_shapes(const Layer& layer, const Shapes& inputs);
Shapes expand_dims_shapes(const Layer& layer, const Shapes& inputs);

// matrix.cpp
Shapes inner_product_shapes(const Layer& layer, const Shapes& inputs);
Shapes gemm_shapes(const Layer& layer, const Shapes& inputs);
Shapes matmul_shapes(const Layer& layer, const Shapes& inputs);
Shapes attention_shapes(const Layer& layer, const Shapes& inputs);

// elementwise.cpp
Shapes unchanged(const Layer& layer, const Shapes& inputs);
Shapes binary_shapes(const Layer& layer, const Shapes& inputs);
Shapes unary_shapes(const Layer& layer, const Shapes& inputs);
Shapes eltwise_shapes(const Layer& layer, const Shapes& inputs);
Shapes cast_shapes(const Layer& layer, const Shapes& inputs);
Shapes softmax_shapes(const Layer& layer, const Shapes& inputs);

// normalisation.cpp
Shapes per_channel_shapes(const Layer& layer, const Shapes& inputs);
Shapes group_norm_shapes(const Layer& layer, const Shapes& inputs);
Shapes instance_norm_shapes(const Layer& layer, const Shapes& inputs);
Shapes layer_norm_shapes(const Layer& layer, const Shapes& inputs);
Shapes normalize_shapes(const Layer& layer, const Shapes& inputs);
Shapes lrn_shapes(const Layer& layer, const Shapes& inputs);

// routing.cpp
Shapes split_shapes(const Layer& layer, const Shapes& inputs);
Shapes noop_shapes(const Layer& layer, const Shapes& inputs);
Shapes slice_shapes(const Layer& layer, const Shapes& inputs);
Shapes concat_shapes(const Layer& layer, const Shapes& inputs);
Shapes shuffle_channel_shapes(const Layer& layer, const Shapes& inputs);
Shapes pixel_shuffle_shapes(const Layer& layer, const Shapes& inputs);
Shapes padding_shapes(const Layer& layer, const Shapes& inputs);

// crop.cpp
Shapes crop_shapes(const Layer& layer, const Shapes& inputs);

}  // namespace pocketdet::graph
