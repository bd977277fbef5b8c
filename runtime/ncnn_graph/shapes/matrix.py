"""InnerProduct, Gemm, MatMul, MultiHeadAttention: products of matrices."""

from collections.abc import Sequence
from math import prod

from pocketdet.runtime.ncnn_graph.model import Layer
from pocketdet.runtime.ncnn_graph.shapes.convolution import check_activation
from pocketdet.runtime.ncnn_graph.shapes.op import Op, Shape, expect_dims, expect_range, op
from pocketdet.runtime.ncnn_graph.weight_slots import weight_slots


def _inner_product(layer: Layer, inputs: Sequence[Shape]) -> list[Shape]:
    """(h, in) becomes (h, out) row by row; any other input of `in` values becomes (out,)."""
    out, size = weight_slots(layer)[0].shape
    check_activation(layer)
    expect_range(layer, "the int8 scale term", layer.int_param(8, 0), 0, 2)
    shape = inputs[0]
    if len(shape) == 2 and shape[1] == size:
        return [(shape[0], out)]
    if prod(shape) != size:
        raise layer.error(f"its weights take {size} values and its input {layer.inputs[0]!r} is {shape}")
    return [(out,)]


def gemm_sizes(layer: Layer, inputs: Sequence[Shape]) -> tuple[int, int, int]:
    """(M, N, K) of C = A x B. Raises GraphError when the operands do not fit each other."""
    slots = {slot.role: slot.shape for slot in weight_slots(layer)}
    flags = [layer.int_param(key, 0) for key in (2, 3, 4, 5, 6, 11, 14)]
    if not set(flags) <= {0, 1}:
        raise layer.error(f"flags must be 0 or 1, found {flags}")
    transpose_a, transpose_b, constant_a, constant_b, constant_c, *_ = flags
    remaining = list(inputs)
    if len(remaining) < 2 - constant_a - constant_b:
        raise layer.error(f"{len(inputs)} inputs are too few for its operands")
    a = slots["a"] if constant_a else _matrix(layer, remaining.pop(0))
    b = slots["b"] if constant_b else _matrix(layer, remaining.pop(0))
    (m, k), (k_of_b, n) = a[:: -1 if transpose_a else 1], b[:: -1 if transpose_b else 1]
    if k != k_of_b:
        raise layer.error(f"cannot multiply {(m, k)} by {(k_of_b, n)}")
    declared = [layer.int_param(key, 0) for key in (7, 8, 9)]
    if any(size not in (0, found) for size, found in zip(declared, (m, n, k), strict=True)):
        raise layer.error(f"declares M, N, K = {declared} and has {[m, n, k]}")
    if len(remaining) > 1 or (constant_c and remaining):
        raise layer.error(f"{len(inputs)} inputs are too many for its operands")
    if remaining and remaining[0] not in ((1,), (m,), (n,), (m, 1), (m, n), (1, n)):
        raise layer.error(f"cannot add {remaining[0]} to a product of shape {(m, n)}")
    if constant_c and slots.get("c", (1,)) not in ((1,), (m,), (m, 1), (m, n), (1, n)):
        raise layer.error(f"cannot add {slots['c']} to a product of shape {(m, n)}")
    return m, n, k


def _matrix(layer: Layer, shape: Shape) -> tuple[int, int]:
    """An operand as (rows, columns); (rows, 1, columns) is ncnn's N1M layout."""
    expect_dims(layer, shape, 2, 3)
    if len(shape) == 3 and shape[1] != 1:
        raise layer.error(f"takes a matrix or a (rows, 1, columns) blob, found {shape}")
    return shape[0], shape[-1]


def _gemm(layer: Layer, inputs: Sequence[Shape]) -> list[Shape]:
    expect_range(layer, "output_elempack", layer.int_param(12, 0), 0, 1)
    expect_range(layer, "output_elemtype", layer.int_param(13, 0), 0, 1)
    expect_range(layer, "quantize_term", layer.int_param(18, 0), 0, 3)
    if any(layer.int_param(key, 0) for key in (20, 21, 22)):
        raise layer.error("fixed tile sizes are not supported")
    m, n, _ = gemm_sizes(layer, inputs)
    rows, columns = (n, m) if layer.int_param(14, 0) else (m, n)
    return [(rows, 1, columns) if layer.int_param(11, 0) else (rows, columns)]


def _matmul(layer: Layer, inputs: Sequence[Shape]) -> list[Shape]:
    """Products over the last two axes, earlier axes equal or 1; a vector is a row on the left, a column on
    the right.
    """
    a, b = inputs
    if {len(a), len(b)} == {2, 4}:
        raise layer.error(f"cannot multiply {a} by {b}")
    left = (1, *a) if len(a) == 1 else a
    right = (*b, 1) if len(b) == 1 else b
    if layer.int_param(0, 0) and len(b) > 1:
        right = (*b[:-2], b[-1], b[-2])
    batch_a, batch_b = left[:-2], right[:-2]
    longest = max(len(batch_a), len(batch_b))
    batch_a, batch_b = _batch(batch_a, longest), _batch(batch_b, longest)
    fits = all(x == y or 1 in (x, y) for x, y in zip(batch_a, batch_b, strict=True))
    if left[-1] != right[-2] or not fits:
        raise layer.error(f"cannot multiply {a} by {b}")
    batch = tuple(max(pair) for pair in zip(batch_a, batch_b, strict=True))
    return [(*batch, *left[-2 : -1 if len(a) > 1 else -2], *right[-1 : None if len(b) > 1 else -1]) or (1,)]


def _batch(batch: Shape, dims: int) -> Shape:
    return (1,) * (dims - len(batch)) + batch


def attention_sizes(layer: Layer, inputs: Sequence[Shape]) -> tuple[int, int, int, int, int, int]:
    """(queries, keys, query width, key width, value width, embedding). Raises GraphError when blobs do not
    fit.
    """
    weights = {slot.role: slot.shape for slot in weight_slots(layer)}
    embed, query_width = weights["q_weight"]
    query, key, value = (inputs[min(i, len(inputs) - 1)] for i in range(3))
    for shape, role in ((query, "q_weight"), (key, "k_weight"), (value, "v_weight")):
        expect_dims(layer, shape, 2)
        if shape[1] != weights[role][1]:
            raise layer.error(f"{role} takes rows of {weights[role][1]} and its input is {shape}")
    if key[0] != value[0]:
        raise layer.error(f"has {key[0]} keys and {value[0]} values")
    return query[0], key[0], query_width, key[1], value[1], embed


def _attention(layer: Layer, inputs: Sequence[Shape]) -> list[Shape]:
    heads = layer.int_param(1, 1)
    if layer.int_param(5, 0) or layer.int_param(7, 0) or layer.int_param(18, 0):
        raise layer.error("an attention mask, a key-value cache and int8 attention are not supported")
    queries, _, query_width, _, _, embed = attention_sizes(layer, inputs)
    if heads < 1 or embed % heads:
        raise layer.error(f"an embedding of {embed} does not divide into {heads} heads")
    return [(queries, query_width)]


MATRIX_OPS: dict[str, Op] = {
    "Gemm": op(_gemm, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 18, 20, 21, 22}, inputs=(1, 3)),
    "InnerProduct": op(_inner_product, {0, 1, 2, 8, 9, 10}),
    "MatMul": op(_matmul, {0}, inputs=(2, 2)),
    "MultiHeadAttention": op(_attention, {0, 1, 2, 3, 4, 5, 6, 7, 18}, inputs=(1, 3)),
}
