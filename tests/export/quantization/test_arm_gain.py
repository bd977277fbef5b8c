"""What int8 gains on ARM cores: the groups of layers, and the cycles that the rates predict for a graph."""

import pytest
from graph_builder import Builder

from pocketdet.export.quantization.arm_gain import (
    Amounts,
    ArmRates,
    CoreGain,
    CoreRates,
    LayerWork,
    arm_rates,
    layer_works,
    predict_gain,
    slower_layers,
)
from pocketdet.export.quantization.layers import to_int8, weight_scales
from pocketdet.runtime.ncnn_graph import Graph, infer_shapes

KINDS = {"fp16", "fp32", "int8, others fp16", "int8, others fp32"}


def works_of(graph: Graph, inputs: dict[str, tuple[int, ...]]) -> list[LayerWork]:
    return layer_works(graph, infer_shapes(graph, inputs))


def rates(of_all: dict[str, dict[str, Amounts]]) -> ArmRates:
    core = CoreRates(core="a-core", rates=of_all, median_error=0.0, largest_error=0.0, networks=1)
    return ArmRates(unit="", llvm="", cores=(core,))


def test_layers_are_in_the_groups_that_kernels_distinguish() -> None:
    b = Builder()
    x = b.conv(b.input(3, 32, 32), 16, 3, 2)
    x = b.depthwise(x, 5, 2)
    x = b.depthwise(x, 3)
    x = b.conv(x, 24, 1)
    x = b.add("Swish", b.conv(x, 32, 3))
    x = b.add("ReLU", b.conv(x, 32, 3, 2))
    x = b.conv(x, 16, 1, _9=5)
    x = b.depthwise(b.conv(x, 20, 1))
    x = b.shuffle(b.conv(x, 20, 3, _2=2, _4=2))
    b.add("Pooling", x, {0: 0, 1: 3, 2: 2, 3: 1, 5: 1})
    b.conv(b.input(3, 32, 32), 16, 6, 2)
    b.conv(b.input(3, 32, 32), 12, 2, 2)
    b.conv(b.input(3, 32, 32), 10, 2, 2)
    b.conv(b.input(3, 32, 32), 16, 5, 2)
    b.conv(b.input(1, 32, 32), 1, 3)
    assert [work.group for work in works_of(b.graph(), b.inputs)] == [
        "stem",
        "depthwise 5x5",
        "depthwise 3x3",
        "1x1",
        "3x3",
        "exponential",
        "dense",
        "elementwise",
        "1x1, other",
        "1x1, other",
        "depthwise, odd channels",
        "dense, odd channels",
        "copy",
        "pooling",
        "stem",
        "stem",
        "first",
        "first",
        "3x3, odd channels",
    ]


def test_the_amounts_are_those_of_the_shapes() -> None:
    b = Builder()
    b.conv(b.input(16, 10, 10), 24, 1)
    (work,) = works_of(b.graph(), b.inputs)
    assert work.amounts == (16 * 24 * 100, 16 * 100, 24 * 100)
    assert not work.int8


def test_pooling_compares_the_values_of_its_windows() -> None:
    b = Builder()
    x = b.add("Pooling", b.input(8, 9, 9), {0: 0, 1: 3, 2: 2, 3: 0, 5: 1})
    b.add("Pooling", x, {0: 1, 4: 1})
    window, whole = works_of(b.graph(), b.inputs)
    assert window.amounts == (9 * 8 * 16, 8 * 81, 8 * 16)
    assert whole.amounts == (0, 8 * 16, 8)


@pytest.mark.parametrize("matrix", [False, True])
def test_an_int8_layer_does_the_work_of_the_layer_that_it_was(matrix: bool) -> None:
    b = Builder()
    if matrix:
        b.add("Gemm", b.input(200, 16), {3: 0, 5: 1, 6: 1, 8: 24, 9: 16, 10: 4})
    else:
        b.conv(b.input(16, 10, 10), 24, 1)
    graph = b.graph()
    (plain,) = works_of(graph, b.inputs)
    layer = graph.layers[-1]
    graph.layers[-1] = to_int8(layer, weight_scales(layer), None if matrix else 20.0)
    (small,) = works_of(graph, b.inputs)
    assert small == LayerWork(plain.name, "1x1", plain.amounts, int8=True)


def test_the_gain_is_of_int8_layers_and_of_what_the_others_compute_in() -> None:
    works = [
        LayerWork("a", "1x1", (100.0, 10.0, 1.0), int8=True),
        LayerWork("b", "other", (0.0, 5.0, 5.0), int8=False),
    ]
    found = rates(
        {
            "fp16": {"1x1": (4.0, 0.0, 0.0), "other": (0.0, 1.0, 1.0)},
            "fp32": {"other": (0.0, 2.0, 2.0)},
            "int8, others fp16": {"1x1": (2.0, 3.0, 1.0)},
            "int8, others fp32": {"1x1": (2.0, 4.0, 1.0)},
        }
    )
    assert predict_gain(works, found) == (CoreGain("a-core", fp16=410.0, int8=241.0, int8_fp32=261.0),)


def test_a_layer_that_no_fitted_network_has_is_not_predicted() -> None:
    every = {kind: {"1x1": (1.0, 1.0, 1.0)} for kind in KINDS}
    work = LayerWork("a", "1x1", (1.0, 1.0, 1.0), int8=True)
    assert predict_gain([work], rates(every))
    assert predict_gain([work, LayerWork("b", "grouped", (1.0, 1.0, 1.0), int8=False)], rates(every)) == ()


def test_a_layer_is_slower_if_it_is_on_every_core_and_loses_much() -> None:
    groups = ("both", "one", "as fast", "fp16 only", "unknown")

    def core(*int8: float) -> CoreRates:
        half = dict.fromkeys(groups[:4], (1.0, 1.0, 1.0))
        small = {group: (rate, 1.0, 1.0) for group, rate in zip(groups[:3], int8, strict=True)}
        of_all = {"fp16": half, "int8, others fp16": small}
        return CoreRates(core="", rates=of_all, median_error=0.0, largest_error=0.0, networks=1)

    found = ArmRates(unit="", llvm="", cores=(core(2.0, 2.0, 1.0001), core(1.1, 0.9, 1.0001)))
    for int8 in (False, True):
        works = [LayerWork(f"a {group}", group, (100.0, 10.0, 1.0), int8) for group in groups]
        small = LayerWork("small", "both", (1.0, 1.0, 1.0), int8)
        assert slower_layers([*works, small], found) == ("a both",)
    assert slower_layers([], found) == ()


def test_the_convolution_behind_focus_is_slower_and_the_products_of_snet_are_not() -> None:
    b = Builder()
    b.conv(b.input(12, 208, 208), 16, 3)
    x = b.conv(b.input(3, 320, 320), 24, 3, 2)
    b.conv(b.conv(x, 64, 1), 256, 1)
    works = works_of(b.graph(), b.inputs)
    assert slower_layers(works) == (works[0].name,)
    assert works[0].group == "3x3, odd channels"


def test_the_shipped_rates_have_int8_for_every_group_that_they_have_it_for_in_half_precision() -> None:
    """int8 halves at most the cycles of a product, and costs some for the map that is rounded."""
    found = arm_rates()
    assert [core.core for core in found.cores] == ["cortex-a76", "cortex-a55"]
    for core in found.cores:
        assert set(core.rates) == KINDS
        small, large = (core.rates[f"int8, others {others}"] for others in ("fp16", "fp32"))
        half = core.rates["fp16"]
        assert small.keys() == large.keys() <= half.keys() == core.rates["fp32"].keys()
        assert 0.4 < small["1x1"][0] / half["1x1"][0] < 1
        assert small["1x1"][1] > half["1x1"][1]
        assert 0 < core.median_error <= core.largest_error
        assert core.networks >= 8
