"""Lane alignment settled by the clock of the machine at hand, where the cost model only predicts."""

from collections.abc import Callable, Iterable, Mapping

from pocketdet.export.passes.align_lanes import LANES, Aligned, align_lanes
from pocketdet.export.passes.lane_targets import LaneTarget
from pocketdet.export.passes.lanes.cost import LANES_ALONE, Rates
from pocketdet.runtime.ncnn_graph import Graph, Shape

SureRatio = Callable[[Graph, Graph], float]
"""How many times as fast the second graph runs as the first: the low end of what the clock allows."""

SLOWER = "by the clock, padding it does not pay"


def settle_lanes(
    graph: Graph,
    inputs: Mapping[str, Shape],
    target: LaneTarget,
    sure_ratio: SureRatio,
    *,
    wide_outputs: bool = False,
    keep: Iterable[str] = (),
    progress: Callable[[str], None] = lambda step: None,
) -> Aligned:
    """The fastest layout of `graph`, or the graph itself where none beats it.

    Every number of lanes up to the target's is tried twice, as the cost model says and with all widened that
    can be; then each region of the fastest is tried without. What is not surely faster is not kept.
    `progress` hears what is timed next.
    """
    kept = tuple(keep)

    def attempt(lanes: int, rates: Rates, leave: Iterable[str] = (), least_gain: float = 0.0) -> Aligned:
        return align_lanes(
            graph,
            inputs,
            lanes,
            wide_outputs=wide_outputs,
            keep=kept,
            leave=dict.fromkeys(leave, SLOWER),
            rates=rates,
            least_gain=least_gain,
        )

    def beats(tried: Aligned, best: Graph, what: str) -> bool:
        if tried.graph is best:
            return False
        progress(what)
        return sure_ratio(best, tried.graph) > 1.0

    lanes, rates = target.lanes, target.rates
    best = attempt(lanes, rates, least_gain=float("inf"))  # nothing gains that much: the graph as it is
    for width in (width for width in LANES if width <= target.lanes):
        for wish, what in ((target.rates, "by the model"), (LANES_ALONE, "all that can be")):
            tried = attempt(width, wish)
            if beats(tried, best.graph, f"{width} lanes, {what}"):
                best, lanes, rates = tried, width, wish
    left: list[str] = []
    for region in best.regions:
        tried = attempt(lanes, rates, [*left, *region])
        if beats(tried, best.graph, f"without {region[0]}"):
            best, left = tried, [*left, *region]
    return best
