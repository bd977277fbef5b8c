"""The clock decides, whatever the cost model thinks."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pocketdet.export.passes.lane_targets import LANE_TARGETS
from pocketdet.export.settle_lanes import SLOWER, settle_lanes
from pocketdet.runtime.ncnn_graph import Graph, read_graph

FEATURES = {"image": (3, 96, 64)}


@pytest.fixture
def graph(plain_bundle: Path) -> Graph:
    return read_graph(plain_bundle / "features.ncnn.param", plain_bundle / "features.ncnn.bin")


def channels(graph: Graph, *, odd: int) -> int:
    """How many convolutions make a number of channels that `odd` does not divide."""
    return sum(layer.int_param(0, 0) % odd != 0 for layer in graph.layers if layer.type == "Convolution")


def by(cost: Callable[[Graph], float]) -> Callable[[Graph, Graph], float]:
    """A clock on which a graph takes as long as `cost` says."""
    return lambda best, tried: cost(best) / cost(tried)


def test_a_clock_that_hates_padding_keeps_the_graph(graph: Graph) -> None:
    size = by(lambda g: sum(layer.int_param(0, 0) for layer in g.layers if layer.type == "Convolution"))
    made = settle_lanes(graph, FEATURES, LANE_TARGETS["avx2"], size)
    assert made.graph is graph
    assert not made.report.changed


def test_a_clock_that_loves_lanes_widens_what_the_model_would_not(graph: Graph) -> None:
    steps: list[str] = []
    lanes = by(lambda g: 1 + channels(g, odd=4))
    made = settle_lanes(graph, FEATURES, LANE_TARGETS["neon-fp32"], lanes, progress=steps.append)
    assert channels(made.graph, odd=4) < channels(graph, odd=4)
    assert steps[0].startswith("4 lanes, ")


def test_a_region_that_is_slower_is_taken_back(graph: Graph) -> None:
    """Every convolution gains by whole lanes, but 248 channels cost more than 245 did."""

    def cost(tried: Graph) -> float:
        wide = [layer for layer in tried.layers if layer.type == "Convolution"]
        return 100.0 + sum(
            10 if layer.int_param(0, 0) == 248 else layer.int_param(0, 0) % 8 for layer in wide
        )

    made = settle_lanes(graph, FEATURES, LANE_TARGETS["avx2"], by(cost))
    assert made.report.changed
    assert not [item for item in made.report.widened if item.channels == 245]
    assert SLOWER in {item.reason for item in made.report.refused if item.channels == 245}
