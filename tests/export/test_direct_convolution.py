"""Which convolutions ask for ncnn's direct kernel, and that they compute the same."""

from pathlib import Path

import numpy as np
import pytest

from pocketdet.export.compare_graphs import compare_graphs
from pocketdet.export.passes.direct_convolution import NO_MATRIX_PRODUCT, force_direct_convolution
from pocketdet.runtime.ncnn_graph import (
    Graph,
    Layer,
    ParamValue,
    encode,
    infer_shapes,
    read_graph,
    weight_slots,
    write_graph,
)
from pocketdet.runtime.ncnn_graph.validate import validate

MASK = 31


def _net(channels: int, **wanted: ParamValue) -> Graph:
    """An image of odd sides and one convolution, 3x3 of stride 2 to 24 channels but for `p<id>`."""
    params: dict[int, ParamValue] = {0: 24, 1: 3, 3: 2, 4: 1, 5: 1, 9: 1}
    params |= {int(key[1:]): value for key, value in wanted.items()}
    sides = [params[1], params.get(11, params[1])]
    params[6] = int(np.prod([params[0], channels, *sides]))
    layer = Layer("Convolution", "stem", ["image"], ["out"], params)
    rng = np.random.default_rng(0)
    for slot in weight_slots(layer):
        values = rng.uniform(-1, 1, slot.shape).astype(np.float32)
        layer.weights[slot.role] = encode(values, "fp32" if slot.tagged else "raw")
    return Graph([Layer("Input", "in", [], ["image"], {}), layer])


def _made(graph: Graph, channels: int, sides: tuple[int, int] = (37, 51)) -> Graph:
    return force_direct_convolution(graph, infer_shapes(graph, {"image": (channels, *sides)}))


@pytest.mark.parametrize("sides", [(9, 9), (37, 51), (64, 96)])
@pytest.mark.parametrize("outputs", [24, 40, 56])
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_an_image_convolution_computes_the_same(channels: int, outputs: int, sides: tuple[int, int]) -> None:
    graph = _net(channels, p0=outputs)
    made = _made(graph, channels, sides)
    assert made.layer("stem").params[MASK] == NO_MATRIX_PRODUCT
    assert MASK not in graph.layer("stem").params
    for found in compare_graphs(graph, made, {"image": (channels, *sides)}):
        assert found.relative <= 1e-6


@pytest.mark.parametrize(
    "wanted",
    [{"p0": n} for n in (8, 16, 20, 30, 32, 48)]
    + [{"p1": 5}, {"p11": 5}, {"p3": 1}, {"p13": 1}, {"p2": 2}, {"p12": 2}, {"p1": 1}],
)
def test_where_the_product_wins_nothing_is_asked(wanted: dict[str, int]) -> None:
    graph = _net(3, **wanted)
    assert _made(graph, 3) is graph


def test_inner_channels_and_unknown_shapes_are_left_alone() -> None:
    graph = _net(4)
    assert _made(graph, 4) is graph
    graph = _net(3)
    assert force_direct_convolution(graph, {}) is graph


def test_int8_weights_are_left_alone() -> None:
    graph = _net(3)
    graph.layer("stem").params[8] = 2
    assert force_direct_convolution(graph, {"image": (3, 37, 51)}) is graph


def test_a_mask_that_is_there_is_kept(tmp_path: Path) -> None:
    made = _made(_net(3, p31=64), 3)
    assert made.layer("stem").params[MASK] == 64 | NO_MATRIX_PRODUCT
    write_graph(made, tmp_path / "m.param", tmp_path / "m.bin")
    read = read_graph(tmp_path / "m.param", tmp_path / "m.bin")
    assert read.layer("stem").params[MASK] == 64 | NO_MATRIX_PRODUCT
    assert _made(read, 3).layer("stem").params == read.layer("stem").params


def test_the_checks_of_a_bundle_accept_it() -> None:
    validate(_made(_net(3), 3), {"image": (3, 37, 51)}, lambda kind: True)
