// The sizes of matrix products, for shapes and costs.
#pragma once

#include "model.h"

namespace pocketdet::graph {

// C = A x B of a Gemm: A is (m, k), B is (k, n).
struct GemmSizes {
    int64_t m, n, k;
};

// Throws GraphError when the operands do not fit each other.
GemmSizes gemm_sizes(const Layer& layer, const Shapes& inputs);

struct AttentionSizes {
    int64_t queries, keys, query_width, key_width, value_width, embed;
};

// Throws GraphError when the inputs do not fit the weights of a MultiHeadAttention.
AttentionSizes attention_sizes(const Layer& layer, const Shapes& inputs);

}  // namespace pocketdet::graph
