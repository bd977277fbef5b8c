"""Time two ncnn graphs on this machine, for `pocketdet align`."""

import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pocketdet.benchmarks.contest import Contestant, Plan, hold
from pocketdet.benchmarks.samples import Ratio, Summary, speed_ratio, summarise
from pocketdet.export.compare_graphs import comparison_inputs, load_net, run_net

if TYPE_CHECKING:
    from pocketdet.runtime.ncnn_graph import Graph, Shape

DECIDING = Plan(rounds=12, burst=7, refill=2, warm_up=3)
REPORTING = Plan(rounds=40, burst=7, refill=2, warm_up=5)


@dataclass(frozen=True)
class PairTiming:
    """Milliseconds of both graphs on one thread.

    Attributes:
        plain: The original graph.
        aligned: The aligned graph.
        ratio: How many times as fast the aligned graph is.
    """

    plain: Summary
    aligned: Summary
    ratio: Ratio

    def __str__(self) -> str:
        return (
            f"median {self.plain.median:.2f} -> {self.aligned.median:.2f} ms, p90 {self.plain.p90:.2f} -> "
            f"{self.aligned.p90:.2f} ms, {self.ratio} (95% interval)"
        )


def compare_pair(
    plain: "Graph", aligned: "Graph", inputs: "Mapping[str, Shape]", outputs: Iterable[str], plan: Plan
) -> PairTiming:
    """Time two graphs on one random input, in alternating bursts. Both must be valid: ncnn crashes on others.

    Args:
        plain: The original graph.
        aligned: The aligned graph.
        inputs: Shape of every input, (c, h, w) without batch.
        outputs: The blobs to extract, in the order of the graph.
        plan: How many rounds.
    """
    wanted = list(outputs)
    with tempfile.TemporaryDirectory(prefix="pocketdet-timing-") as folder:
        first, second = (load_net(g, Path(folder), n) for g, n in ((plain, "plain"), (aligned, "aligned")))
    values = next(comparison_inputs(inputs, seed=0, trials=1))
    samples = hold(
        [
            Contestant("plain", lambda: run_net(first, values, wanted)),
            Contestant("aligned", lambda: run_net(second, values, wanted)),
        ],
        plan,
    )
    ratio = speed_ratio(samples["plain"], samples["aligned"])
    return PairTiming(summarise(samples["plain"]), summarise(samples["aligned"]), ratio)
