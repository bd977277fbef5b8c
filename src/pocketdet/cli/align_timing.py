"""Time two ncnn graphs interleaved on this machine, for `pocketdet align`."""

import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pocketdet.benchmarks.interleaved import Ratio, Summary, run_interleaved, speed_ratio, summarise
from pocketdet.benchmarks.plan import InterleavedPlan
from pocketdet.export.compare_graphs import comparison_inputs, load_net, run_net

if TYPE_CHECKING:
    from pocketdet.runtime.ncnn_graph import Graph, Shape

DECIDING = InterleavedPlan(rounds=12, burst=7, refill=2, warm_up=3)
REPORTING = InterleavedPlan(rounds=40, burst=7, refill=2, warm_up=5)


@dataclass(frozen=True)
class PairTiming:
    """Milliseconds of both graphs, one thread, and how many times as fast the aligned one is."""

    plain: Summary
    aligned: Summary
    ratio: Ratio

    def __str__(self) -> str:
        return (
            f"median {self.plain.median:.2f} -> {self.aligned.median:.2f} ms, p90 {self.plain.p90:.2f} -> "
            f"{self.aligned.p90:.2f} ms, {self.ratio} (95% interval)"
        )


def compare_pair(
    plain: "Graph",
    aligned: "Graph",
    inputs: "Mapping[str, Shape]",
    outputs: Iterable[str],
    plan: InterleavedPlan,
) -> PairTiming:
    """Time two graphs interleaved on one random input.

    Args:
        plain: The reference. Both graphs must be valid: ncnn crashes on others.
        aligned: The graph to compare with it.
        inputs: Shapes of the input blobs by name.
        outputs: Names of the output blobs.
        plan: Number of rounds and of frames.

    Returns:
        Milliseconds of both, and their ratio.
    """
    output_names = list(outputs)
    with tempfile.TemporaryDirectory(prefix="pocketdet-compare-") as folder:
        first, second = (load_net(g, Path(folder), n) for g, n in ((plain, "plain"), (aligned, "aligned")))
    feed = next(comparison_inputs(inputs, seed=0, trials=1))
    samples = run_interleaved(
        {
            "plain": lambda: run_net(first, feed, output_names),
            "aligned": lambda: run_net(second, feed, output_names),
        },
        plan,
    )
    ratio = speed_ratio(samples["plain"], samples["aligned"])
    return PairTiming(summarise(samples["plain"]), summarise(samples["aligned"]), ratio)
