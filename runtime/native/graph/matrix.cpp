// InnerProduct, Gemm, MatMul, MultiHeadAttention: products of matrices.
#include "matrix.h"

#include <algorithm>

#include "layer_params.h"
#include "message_text.h"
#include "numbers.h"
#include "shape_rules.h"
#include "weight_slots.h"

namespace pocketdet::graph {

namespace {

const Shape* shape_of(const Slots& slots, const char* role) {
    const auto slot = std::find_if(slots.begin(), slots.end(), [role](const Slot& s) { return s.role == role; });
    return slot == slots.end() ? nullptr : &slot->shape;
}

// An operand as (rows, columns); (rows, 1, columns) is ncnn's N1M layout.
Shape matrix_of(const Layer& layer, const Shape& shape) {
    expect_dims(layer, shape, {2, 3});
    if (shape.size() == 3 && shape[1] != 1) {
        layer.fail("takes a matrix or a (rows, 1, columns) blob, found " + tuple_text(shape));
    }
    return {shape.front(), shape.back()};
}

bool is_any_of(const Shape& shape, const Shapes& choices) {
    return std::find(choices.begin(), choices.end(), shape) != choices.end();
}

// Batch axes in front of a matrix, with ones before them.
Shape batch_of(const Shape& shape, size_t dims) {
    Shape batch(dims - (shape.size() - 2), 1);
    batch.insert(batch.end(), shape.begin(), shape.end() - 2);
    return batch;
}

}  // namespace

// (h, in) becomes (h, out) row by row; any other input of `in` values becomes (out,).
Shapes inner_product_shapes(const Layer& layer, const Shapes& inputs) {
    const Shape weight = weight_slots(layer)[0].shape, &shape = inputs[0];
    check_activation(layer);
    expect_range(layer, "the int8 scale term", int_param(layer, "int8_scale_term", 0), 0, 2);
    if (shape.size() == 2 && shape[1] == weight[1]) return {{shape[0], weight[0]}};
    if (elements_of(shape) != weight[1]) {
        layer.fail("its weights take " + std::to_string(weight[1]) + " values and its input " +
                   quoted(layer.inputs[0]) + " is " + tuple_text(shape));
    }
    return {{weight[0]}};
}

GemmSizes gemm_sizes(const Layer& layer, const Shapes& inputs) {
    const Slots slots = weight_slots(layer);
    Integers flags;
    for (const char* name :
         {"transA", "transB", "constantA", "constantB", "constantC", "output_N1M", "output_transpose"}) {
        flags.push_back(int_param(layer, name, 0));
    }
    if (std::any_of(flags.begin(), flags.end(), [](int64_t flag) { return flag != 0 && flag != 1; })) {
        layer.fail("flags must be 0 or 1, found " + list_text(flags));
    }
    const bool has_a = flags[2] == 1, has_b = flags[3] == 1, has_c = flags[4] == 1;
    const std::string count = std::to_string(inputs.size());
    const size_t operands = 2 - (has_a ? 1u : 0u) - (has_b ? 1u : 0u);
    if (inputs.size() < operands) layer.fail(count + " inputs are too few for its operands");
    Shape a = has_a ? *shape_of(slots, "a") : matrix_of(layer, inputs[0]);
    Shape b = has_b ? *shape_of(slots, "b") : matrix_of(layer, inputs[operands - 1]);
    if (flags[0] == 1) std::swap(a[0], a[1]);
    if (flags[1] == 1) std::swap(b[0], b[1]);
    const int64_t m = a[0], k = a[1], n = b[1];
    if (k != b[0]) layer.fail("cannot multiply " + tuple_text(a) + " by " + tuple_text(b));
    const Shape declared{int_param(layer, "constantM", 0), int_param(layer, "constantN", 0),
                         int_param(layer, "constantK", 0)},
        found{m, n, k};
    for (size_t i = 0; i < 3; ++i) {
        if (declared[i] == 0 || declared[i] == found[i]) continue;
        layer.fail("declares M, N, K = " + list_text(declared) + " and has " + list_text(found));
    }
    const size_t rest = inputs.size() - operands;
    if (rest > 1 || (has_c && rest > 0)) layer.fail(count + " inputs are too many for its operands");
    const std::string product = " to a product of shape " + tuple_text(Shape{m, n});
    if (rest == 1 && !is_any_of(inputs.back(), {{1}, {m}, {n}, {m, 1}, {m, n}, {1, n}})) {
        layer.fail("cannot add " + tuple_text(inputs.back()) + product);
    }
    const Shape* c = has_c ? shape_of(slots, "c") : nullptr;
    if (c != nullptr && !is_any_of(*c, {{1}, {m}, {m, 1}, {m, n}, {1, n}})) {
        layer.fail("cannot add " + tuple_text(*c) + product);
    }
    return {m, n, k};
}

Shapes gemm_shapes(const Layer& layer, const Shapes& inputs) {
    expect_range(layer, "output_elempack", int_param(layer, "output_elempack", 0), 0, 1);
    expect_range(layer, "output_elemtype", int_param(layer, "output_elemtype", 0), 0, 1);
    expect_range(layer, "quantize_term", int_param(layer, "quantize_term", 0), 0, 3);
    for (const char* name : {"constant_TILE_M", "constant_TILE_N", "constant_TILE_K"}) {
        if (has_flag(layer, name)) layer.fail("fixed tile sizes are not supported");
    }
    const GemmSizes sizes = gemm_sizes(layer, inputs);
    const bool is_transposed = has_flag(layer, "output_transpose");
    const int64_t rows = is_transposed ? sizes.n : sizes.m, columns = is_transposed ? sizes.m : sizes.n;
    if (has_flag(layer, "output_N1M")) return {{rows, 1, columns}};
    return {{rows, columns}};
}

// Products over the last two axes, earlier axes equal or 1; a vector is a row on the left, a column on the right.
Shapes matmul_shapes(const Layer& layer, const Shapes& inputs) {
    const Shape &a = inputs[0], &b = inputs[1];
    const auto refuse = [&] { layer.fail("cannot multiply " + tuple_text(a) + " by " + tuple_text(b)); };
    if (std::min(a.size(), b.size()) == 2 && std::max(a.size(), b.size()) == 4) refuse();
    const Shape left = a.size() == 1 ? Shape{1, a[0]} : a;
    Shape right = b.size() == 1 ? Shape{b[0], 1} : b;
    if (has_flag(layer, "transB") && b.size() > 1) std::swap(right[right.size() - 2], right.back());
    const size_t dims = std::max(left.size(), right.size()) - 2;
    const Shape batch_a = batch_of(left, dims), batch_b = batch_of(right, dims);
    if (left.back() != right[right.size() - 2]) refuse();
    Shape output;
    for (size_t i = 0; i < dims; ++i) {
        if (batch_a[i] != batch_b[i] && batch_a[i] != 1 && batch_b[i] != 1) refuse();
        output.push_back(std::max(batch_a[i], batch_b[i]));
    }
    if (a.size() > 1) output.push_back(left[left.size() - 2]);
    if (b.size() > 1) output.push_back(right.back());
    if (output.empty()) output.push_back(1);
    return {output};
}

AttentionSizes attention_sizes(const Layer& layer, const Shapes& inputs) {
    const Slots slots = weight_slots(layer);
    const Shape& embedding = *shape_of(slots, "q_weight");
    constexpr const char* kRoles[] = {"q_weight", "k_weight", "v_weight"};
    const Shape* rows[3];
    for (size_t i = 0; i < 3; ++i) {
        rows[i] = &inputs[std::min(i, inputs.size() - 1)];
        expect_dims(layer, *rows[i], {2});
        const int64_t width = (*shape_of(slots, kRoles[i]))[1];
        if ((*rows[i])[1] != width) {
            layer.fail(std::string(kRoles[i]) + " takes rows of " + std::to_string(width) + " and its input is " +
                       tuple_text(*rows[i]));
        }
    }
    const Shape &query = *rows[0], &key = *rows[1], &value = *rows[2];
    if (key[0] != value[0]) {
        layer.fail("has " + std::to_string(key[0]) + " keys and " + std::to_string(value[0]) + " values");
    }
    return {query[0], key[0], embedding[1], key[1], value[1], embedding[0]};
}

Shapes attention_shapes(const Layer& layer, const Shapes& inputs) {
    const int64_t heads = int_param(layer, "num_heads", 1);
    if (has_flag(layer, "attn_mask") || has_flag(layer, "kv_cache") || has_flag(layer, "quantize_term")) {
        layer.fail("an attention mask, a key-value cache and int8 attention are not supported");
    }
    const AttentionSizes sizes = attention_sizes(layer, inputs);
    if (heads < 1 || sizes.embed % heads != 0) {
        layer.fail("an embedding of " + std::to_string(sizes.embed) + " does not divide into " + std::to_string(heads) +
                   " heads");
    }
    return {{sizes.queries, sizes.query_width}};
}

}  // namespace pocketdet::graph
