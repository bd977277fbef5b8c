"""Two ncnn graphs timed against each other on this machine, for `pocketdet align`."""

import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pocketdet.benchmarks.contest import Contestant, Plan, hold
from pocketdet.benchmarks.samples import Ratio, Summary, speed_ratio, summarise
from pocketdet.export.passes.lanes.proof import load_net, proof_inputs, run_net

if TYPE_CHECKING:
    from pocketdet.runtime.ncnn_graph import Graph, Shape

DECIDING = Plan(rounds=12, burst=7, refill=2, warm_up=3)
REPORTING = Plan(rounds=40, burst=7, refill=2, warm_up=5)


@dataclass(frozen=True)
class Duel:
    """Milliseconds of both graphs, one thread, and how many times as fast the aligned one is."""

    plain: Summary
    aligned: Summary
    ratio: Ratio

    def __str__(self) -> str:
        return (
            f"median {self.plain.median:.2f} -> {self.aligned.median:.2f} ms, p90 {self.plain.p90:.2f} -> "
            f"{self.aligned.p90:.2f} ms, {self.ratio} (95% interval)"
        )


def duel(
    plain: "Graph", aligned: "Graph", inputs: "Mapping[str, Shape]", outputs: Iterable[str], plan: Plan
) -> Duel:
    """Time both on one random input in alternating bursts. Both must be sound: ncnn crashes on others."""
    wanted = list(outputs)
    with tempfile.TemporaryDirectory(prefix="pocketdet-duel-") as folder:
        first, second = (load_net(g, Path(folder), n) for g, n in ((plain, "plain"), (aligned, "aligned")))
    feed = next(proof_inputs(inputs, seed=0, trials=1))
    samples = hold(
        [
            Contestant("plain", lambda: run_net(first, feed, wanted)),
            Contestant("aligned", lambda: run_net(second, feed, wanted)),
        ],
        plan,
    )
    ratio = speed_ratio(samples["plain"], samples["aligned"])
    return Duel(summarise(samples["plain"]), summarise(samples["aligned"]), ratio)
