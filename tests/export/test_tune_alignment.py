"""`tune_alignment` decides by measured speed-up, not by the cost model."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pocketdet.export.align_graph import TRIED_SLOWER, tune_alignment
from pocketdet.export.passes.channel_alignment import ALIGNMENT_TARGETS
from pocketdet.runtime.ncnn_graph import Graph, read_graph

FEATURES = {"image": (3, 96, 64)}


@pytest.fixture
def graph(plain_bundle: Path) -> Graph:
    return read_graph(plain_bundle / "features.ncnn.param", plain_bundle / "features.ncnn.bin")


def channels(graph: Graph, *, odd: int) -> int:
    """How many convolutions make a number of channels that `odd` does not divide."""
    return sum(layer.int_param(0, 0) % odd != 0 for layer in graph.layers if layer.type == "Convolution")


def by(cost: Callable[[Graph], float]) -> Callable[[Graph, Graph], float]:
    """A measurement in which a graph takes the time `cost` returns."""
    return lambda best, tried: cost(best) / cost(tried)


def test_the_graph_is_returned_if_padding_is_slower(graph: Graph) -> None:
    size = by(lambda g: sum(layer.int_param(0, 0) for layer in g.layers if layer.type == "Convolution"))
    made = tune_alignment(graph, FEATURES, ALIGNMENT_TARGETS["avx2"], size)
    assert made.graph is graph
    assert not made.report.changed


def test_more_is_widened_than_the_cost_model_would(graph: Graph) -> None:
    steps: list[str] = []
    lanes = by(lambda g: 1 + channels(g, odd=4))
    made = tune_alignment(graph, FEATURES, ALIGNMENT_TARGETS["neon-fp32"], lanes, progress=steps.append)
    assert channels(made.graph, odd=4) < channels(graph, odd=4)
    assert steps[0].startswith("4 lanes, ")


@pytest.mark.slow
def test_a_region_that_is_slower_is_excluded(graph: Graph) -> None:
    """Every convolution is faster with whole lanes, but 248 channels are slower than 245."""

    def cost(tried: Graph) -> float:
        wide = [layer for layer in tried.layers if layer.type == "Convolution"]
        return 100.0 + sum(
            10 if layer.int_param(0, 0) == 248 else layer.int_param(0, 0) % 8 for layer in wide
        )

    made = tune_alignment(graph, FEATURES, ALIGNMENT_TARGETS["avx2"], by(cost))
    assert made.report.changed
    assert not [item for item in made.report.widened if item.channels == 245]
    assert TRIED_SLOWER in {item.reason for item in made.report.refused if item.channels == 245}
