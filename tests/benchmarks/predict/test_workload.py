"""Amounts of small graphs, counted by hand."""

import pytest

from pocketdet.benchmarks.predict.workload import (
    BY_PRECISION,
    DETAILS,
    FLOAT,
    Workload,
    amounts,
    graph_work,
    precision_of,
)
from pocketdet.errors import GraphError
from pocketdet.runtime.ncnn_graph import Shape, infer_shapes, read_param

MILLION = 1e6


def work(*layers: str, shape: Shape = (8, 10, 10)) -> Workload:
    """The work of a chain of layers on one input."""
    lines = ["Input in 0 1 b0", *(layer.format(i=i, o=i + 1) for i, layer in enumerate(layers))]
    graph = read_param(f"7767517\n{len(lines)} {len(lines)}\n" + "\n".join(lines) + "\n")
    return graph_work(graph, infer_shapes(graph, {"b0": shape}))


@pytest.mark.parametrize(
    ("layer", "shape", "kind", "macs"),
    [
        ("Convolution c 1 1 b{i} b{o} 0=16 1=1 6=128", (8, 10, 10), "dense_1x1", 128 * 100),
        ("Convolution c 1 1 b{i} b{o} 0=18 1=1 6=144", (8, 10, 10), "dense_1x1_odd", 144 * 100),
        ("Convolution c 1 1 b{i} b{o} 0=16 1=1 6=160", (10, 10, 10), "dense_1x1_odd", 160 * 100),
        ("Convolution c 1 1 b{i} b{o} 0=16 1=3 4=1 6=1152", (8, 10, 10), "winograd_3x3", 1152 * 100),
        ("Convolution c 1 1 b{i} b{o} 0=16 1=3 3=2 4=1 6=1152", (8, 10, 10), "dense_kxk", 1152 * 25),
        ("Convolution c 1 1 b{i} b{o} 0=16 1=3 4=1 6=432", (3, 10, 10), "dense_kxk", 432 * 100),
        ("ConvolutionDepthWise c 1 1 b{i} b{o} 0=8 1=3 4=1 6=72 7=8", (8, 10, 10), "depthwise_3x3", 7200),
        ("ConvolutionDepthWise c 1 1 b{i} b{o} 0=8 1=5 4=2 6=200 7=8", (8, 10, 10), "depthwise_5x5", 20000),
        ("ConvolutionDepthWise c 1 1 b{i} b{o} 0=9 1=3 4=1 6=81 7=9", (9, 10, 10), "depthwise_odd", 8100),
        ("ConvolutionDepthWise c 1 1 b{i} b{o} 0=8 1=3 4=1 6=288 7=2", (8, 10, 10), "grouped", 28800),
        ("InnerProduct c 1 1 b{i} b{o} 0=5 2=4000", (8, 10, 10), "fully_connected", 4000),
        ("InnerProduct c 1 1 b{i} b{o} 0=5 2=100", (7, 20), "dense_1x1", 700),
    ],
)
def test_every_layer_with_macs_has_a_class(layer: str, shape: Shape, kind: str, macs: int) -> None:
    found = work(layer, shape=shape)
    assert found.amounts[kind] == pytest.approx(macs / MILLION)
    assert found.macs == pytest.approx(macs / MILLION)
    assert set(found.amounts) <= set(DETAILS)


def test_layers_without_macs_count_as_values_moved() -> None:
    relu = work("ReLU r 1 1 b{i} b{o}")
    assert relu.amounts["moved_others"] == pytest.approx(2 * 800 / MILLION)
    assert relu.macs == 0
    assert work("Reshape r 1 1 b{i} b{o} 0=-1").amounts == {}


def test_layers_that_no_published_model_has_are_counted_as_unlike() -> None:
    rows = work("InnerProduct c 1 1 b{i} b{o} 0=5 2=100", shape=(7, 20))
    assert rows.unlike == pytest.approx(rows.macs)
    gemm = work("Gemm g 1 1 b{i} b{o} 10=4 2=0 3=1 4=0 5=1 6=1 7=0 8=16 9=20", shape=(7, 20))
    assert gemm.amounts["dense_1x1"] == pytest.approx(7 * 16 * 20 / MILLION) == pytest.approx(gemm.unlike)
    assert work("InnerProduct c 1 1 b{i} b{o} 0=5 2=4000").unlike == 0


def test_attention_is_refused_by_name() -> None:
    layer = "MultiHeadAttention m 1 1 b{i} b{o} 0=16 1=2 2=256 3=16 4=16"
    with pytest.raises(GraphError, match="MultiHeadAttention 'm': attention cannot be predicted"):
        work(layer, shape=(7, 16))


def test_int8_is_detected_by_its_scales() -> None:
    conv = "Convolution c 1 1 b{i} b{o} 0=16 1=1 6=128 8=2"
    assert precision_of(work(conv)) == "int8"
    assert precision_of(work(conv.replace(" 8=2", ""))) == "float"
    mixed = work(conv) + work(conv.replace(" 8=2", ""))
    assert mixed.int8 == pytest.approx(0.5)


def test_work_adds_up() -> None:
    first, second = work("ReLU r 1 1 b{i} b{o}"), work("Convolution c 1 1 b{i} b{o} 0=16 1=1 6=128")
    both = first + second
    assert both.macs == pytest.approx(second.macs)
    assert amounts(both, FLOAT) == pytest.approx(amounts(first, FLOAT) + amounts(second, FLOAT))


def test_each_precision_counts_every_detail_once() -> None:
    for classes in BY_PRECISION.values():
        assert sorted(d for details in classes.values() for d in details) == sorted(DETAILS)
