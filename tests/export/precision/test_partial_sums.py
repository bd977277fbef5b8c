"""The bound of partial sums against sums that are really formed, over a grid of layers and orders."""

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from pocketdet.export.precision.overflow import bound_of_sums, channel_peaks, find_risks
from pocketdet.runtime.ncnn_graph import Graph, Layer, encode

Array = NDArray[np.float32]


def largest_partial_sum(terms: Array, rng: np.random.Generator) -> float:
    """Of the terms (n, count) of n sums, added one by one in three orders, and in pairs of runs."""
    largest = 0.0
    for order in (np.arange(terms.shape[1]), rng.permutation(terms.shape[1]), np.argsort(terms.sum(axis=0))):
        largest = max(largest, float(np.abs(np.cumsum(terms[:, order], axis=1, dtype=np.float64)).max()))
    runs = np.add.reduceat(terms.astype(np.float64), np.arange(0, terms.shape[1], 4), axis=1)
    return max(largest, float(np.abs(np.cumsum(runs, axis=1)).max()))


def windows(image: Array, kernel: int, stride: int) -> Array:
    """Every window (places, c, k * k) of an image (c, h, w), written plainly."""
    _, height, width = image.shape
    found = [
        image[:, y : y + kernel, x : x + kernel].reshape(len(image), -1)
        for y in range(0, height - kernel + 1, stride)
        for x in range(0, width - kernel + 1, stride)
    ]
    return np.stack(found)


def convolution(weight: Array, bias: Array | None, groups: int, stride: int) -> Layer:
    params: dict[int, int | float] = {0: len(weight), 1: weight.shape[2], 3: stride, 5: int(bias is not None)}
    params[6] = weight.size
    weights = {"weight": encode(weight, "fp32")}
    if bias is not None:
        weights["bias"] = encode(bias, "raw")
    kind = "Convolution" if groups == 1 else "ConvolutionDepthWise"
    return Layer(kind, "conv", ["a"], ["b"], {**params, **({7: groups} if groups > 1 else {})}, weights)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(("kernel", "stride"), [(1, 1), (3, 1), (3, 2), (5, 1)])
@pytest.mark.parametrize(("inputs", "outputs", "groups"), [(3, 8, 1), (8, 8, 8), (8, 12, 4), (16, 5, 1)])
def test_convolutions_stay_below(
    inputs: int, outputs: int, groups: int, kernel: int, stride: int, bias: bool
) -> None:
    rng = np.random.default_rng([inputs, outputs, groups, kernel])
    weight = rng.normal(0, 1, (outputs, inputs // groups, kernel, kernel)).astype(np.float32)
    added = rng.normal(0, 50, outputs).astype(np.float32) if bias else None
    image = (rng.normal(0, 1, (inputs, 7, 9)) * rng.uniform(0.1, 30, (inputs, 1, 1))).astype(np.float32)
    bound = bound_of_sums(convolution(weight, added, groups, stride), [channel_peaks(image)])
    assert bound is not None
    patches = windows(image, kernel, stride)
    per_group = inputs // groups
    reached = 0.0
    for out in range(outputs):
        first = out // (outputs // groups) * per_group
        part = patches[:, first : first + per_group].reshape(len(patches), -1)
        terms = part * weight[out].ravel()
        start = np.full((len(terms), 1), added[out] if added is not None else 0, np.float32)
        reached = max(reached, largest_partial_sum(np.concatenate([start, terms], axis=1), rng))
    assert reached <= bound * (1 + 1e-6)


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize(("rows", "columns", "outputs"), [(1, 4, 3), (7, 31, 12), (20, 64, 5)])
def test_matrix_products_stay_below(rows: int, columns: int, outputs: int, transposed: bool) -> None:
    rng = np.random.default_rng([rows, columns, outputs])
    a = rng.normal(0, 9, (rows, columns)).astype(np.float32)
    b = rng.normal(0, 1, (outputs, columns)).astype(np.float32)
    c = rng.normal(0, 20, outputs).astype(np.float32)
    stored = b if transposed else np.ascontiguousarray(b.T)
    gemm = Layer(
        "Gemm", "g", ["a"], ["b"], {3: int(transposed), 5: 1, 6: 1, 8: outputs, 9: columns, 10: 4},
        {"b": encode(stored, "fp32"), "c": encode(c, "fp32")},
    )  # fmt: skip
    dense = Layer(
        "InnerProduct", "d", ["a"], ["b"], {0: outputs, 1: 1, 2: b.size},
        {"weight": encode(b, "fp32"), "bias": encode(c, "raw")},
    )  # fmt: skip
    bounds = [bound_of_sums(layer, [channel_peaks(a)]) for layer in (gemm, dense)]
    assert bounds[0] is not None
    assert bounds[1] is not None
    for bound in bounds:
        for out in range(outputs):
            terms = np.concatenate([np.full((rows, 1), c[out], np.float32), a * b[out]], axis=1)
            assert largest_partial_sum(terms, rng) <= bound * (1 + 1e-6)


def test_a_flattened_map_has_the_peak_of_its_channel() -> None:
    weight = np.ones((1, 12), np.float32)
    dense = Layer("InnerProduct", "d", ["a"], ["b"], {0: 1, 2: 12}, {"weight": encode(weight, "fp32")})
    assert bound_of_sums(dense, [np.array([1.0, 10.0, 100.0])]) == 444


# Winograd F(6, 3): the matrices that ncnn 1.0.20261020 gives as comments in convolution_3x3_winograd_fp16s.h
KERNEL = np.array(
    [[1, 0, 0], [-2 / 9, -2 / 9, -2 / 9], [-2 / 9, 2 / 9, -2 / 9], [1 / 90, 1 / 45, 2 / 45],
     [1 / 90, -1 / 45, 2 / 45], [1 / 45, 1 / 90, 1 / 180], [1 / 45, -1 / 90, 1 / 180], [0, 0, 1]]
)  # fmt: skip
INPUT = np.array(
    [[1, 0, -5.25, 0, 5.25, 0, -1, 0], [0, 1, 1, -4.25, -4.25, 1, 1, 0], [0, -1, 1, 4.25, -4.25, -1, 1, 0],
     [0, 0.5, 0.25, -2.5, -1.25, 2, 1, 0], [0, -0.5, 0.25, 2.5, -1.25, -2, 1, 0],
     [0, 2, 4, -2.5, -5, 0.5, 1, 0], [0, -2, 4, 2.5, -5, -0.5, 1, 0], [0, -1, 0, 5.25, 0, -5.25, 0, 1]]
)  # fmt: skip
OUTPUT = np.array(
    [[1, 1, 1, 1, 1, 32, 32, 0], [0, 1, -1, 2, -2, 16, -16, 0], [0, 1, 1, 4, 4, 8, 8, 0],
     [0, 1, -1, 8, -8, 4, -4, 0], [0, 1, 1, 16, 16, 2, 2, 0], [0, 1, -1, 32, -32, 1, -1, 1]]
)  # fmt: skip


def test_winograd_layers_get_the_bound_of_its_transforms() -> None:
    tile = np.arange(64.0).reshape(8, 8)
    kernel = np.arange(9.0).reshape(3, 3)
    plainly = [[(tile[y : y + 3, x : x + 3] * kernel).sum() for x in range(6)] for y in range(6)]
    middle = (INPUT @ tile @ INPUT.T) * (KERNEL @ kernel @ KERNEL.T)
    np.testing.assert_allclose(OUTPUT @ middle @ OUTPUT.T, plainly)
    inputs, kernels = np.abs(INPUT).sum(axis=1), np.abs(KERNEL).sum(axis=1)
    assert inputs.max() == 15
    assert (np.abs(OUTPUT) @ (inputs * kernels)).max() == pytest.approx(203 / 3)
    weight = np.ones((4, 2, 3, 3), np.float32)
    plain, wino = convolution(weight, None, 1, 2), convolution(weight, None, 1, 1)
    peak = [np.array([1.0, 2.0])]
    assert bound_of_sums(plain, peak) == 9 * 3
    assert bound_of_sums(wino, peak) == pytest.approx((203 / 3) ** 2 * 3)
    assert bound_of_sums(convolution(1e-6 * weight, None, 1, 1), peak) == 225 * 2


@pytest.mark.parametrize(
    ("layer", "peaks", "expected"),
    [
        (Layer("Pooling", "p", ["a"], ["b"], {0: 1, 1: 3, 2: 2}), [[2.0, 5.0]], 45.0),
        (Layer("Pooling", "p", ["a"], ["b"], {0: 1, 1: 3, 11: 2}), [[2.0]], 12.0),
        (Layer("Pooling", "p", ["a"], ["b"], {0: 0, 1: 3, 2: 2}), [[2.0]], 0.0),
        (Layer("Pooling", "p", ["a"], ["b"], {0: 1, 4: 1}), [[2.0]], 0.0),
        (Layer("Eltwise", "e", ["a", "b", "c"], ["d"], {0: 1}), [[2.0], [3.0], [4.0]], 9.0),
        (Layer("Eltwise", "e", ["a", "b"], ["d"], {0: 1, 1: (0.5, -2.0)}), [[2.0], [3.0]], 7.0),
        (Layer("Eltwise", "e", ["a", "b", "c"], ["d"], {0: 0}), [[2.0], [3.0], [4.0]], None),
        (Layer("Eltwise", "e", ["a", "b"], ["d"], {0: 2}), [[2.0], [3.0]], 0.0),
        (Layer("Split", "s", ["a"], ["b", "c"]), [[1e9]], 0.0),
        (Layer("LayerNorm", "n", ["a"], ["b"]), [[1.0]], None),
        (Layer("Convolution", "c", ["a", "w"], ["b"], {0: 4, 19: 1}), [[1.0], [1.0]], None),
    ],
)
def test_other_layers(layer: Layer, peaks: Sequence[Sequence[float]], expected: float | None) -> None:
    assert bound_of_sums(layer, [np.array(p) for p in peaks]) == expected


def test_int8_layers_add_integers() -> None:
    weight = np.full((4, 2, 1, 1), 100, np.int8)
    layer = Layer("Convolution", "c", ["a"], ["b"], {0: 4, 1: 1}, {"weight": encode(weight, "int8")})
    assert bound_of_sums(layer, [np.array([1e6, 1e6])]) == 0


def test_the_scales_of_an_int8_layer_are_no_halves() -> None:
    """The scale of a channel of zeros is 127 divided by almost nothing."""
    weights = {
        "weight": encode(np.zeros((4, 2, 1, 1), np.int8), "int8"),
        "weight_scales": encode(np.full(4, 1e15, np.float32), "raw"),
    }
    layer = Layer("Convolution", "c", ["a"], ["b"], {0: 4, 1: 1, 8: 2}, weights)
    graph = Graph([Layer("Input", "i", [], ["a"]), layer])
    peaks = {"a": np.ones(2), "b": np.ones(4)}
    assert find_risks(graph, peaks) == []
    layer.weights["weight"] = encode(np.zeros((4, 2, 1, 1), np.float32), "fp32")
    assert "has a weight of 1e+15" in str(find_risks(graph, peaks)[0])
