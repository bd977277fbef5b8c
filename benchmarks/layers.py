"""Measured times of layers: their names before they run, and what a run says about them."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pocketdet.benchmarks.record import LayerRun
from pocketdet.benchmarks.verdict import totals
from pocketdet.runtime.bundle import Bundle
from pocketdet.runtime.ncnn_graph import read_graph

LayerNames = Mapping[tuple[str, str], tuple[str, str]]
"""(stage, ncnn's name of a layer) -> (ncnn's type, PyTorch module or "")."""


def layer_names(bundle: Bundle) -> LayerNames:
    """Read the layers of all networks of a bundle.

    Returns:
        Type and PyTorch module of every layer, by stage and name. A network has the name of its stage.
    """
    return {
        (stage, layer.name): (layer.type, spec.layer_sources.get(layer.outputs[0], ""))
        for stage, spec in bundle.manifest.graphs.by_name().items()
        for layer in read_graph(bundle.path(spec.param)).layers
        if layer.outputs
    }


def layer_label(kind: str, name: str, module: str) -> str:
    """Name a layer in tables: its PyTorch module, or else ncnn's type and name."""
    return module or f"{kind} {name}"


@dataclass(frozen=True)
class ClockCost:
    """Median milliseconds of frames with and without the clock of layers, and of the difference in a pair.

    `low` and `high` are the 95% interval of the difference, from the order of the pairs alone.
    """

    with_clock: float
    without_clock: float
    difference: float
    low: float
    high: float

    def __str__(self) -> str:
        share = self.difference / self.without_clock
        disturbed = "; a cost below 0 shows that another load disturbed the run" * (self.high < 0)
        return (
            f"the clock of the layers costs {self.difference:+.3f} ms ({share:+.1%}) of a frame, 95% "
            f"interval [{self.low:+.3f}, {self.high:+.3f}]: {self.with_clock:.3f} ms with it, "
            f"{self.without_clock:.3f} ms without, in turn{disturbed}"
        )


def clock_cost(found: LayerRun) -> ClockCost:
    """Compute what the clock of layers costs.

    Args:
        found: A run whose frames 2n and 2n + 1 are a pair.

    Returns:
        Medians over frames, and over pairs that are complete.
    """
    times, timed = totals(found.run), np.asarray(found.timed)
    pairs = len(times) // 2 * 2
    first, second = times[:pairs:2], times[1:pairs:2]
    differences = np.sort(np.where(timed[:pairs:2], first - second, second - first))
    count = len(differences)
    outside = max(int(count / 2 - 0.98 * np.sqrt(count)), 0)  # on either side; binomial, normal approximation
    with_clock, without, difference = (
        float(np.median(x)) for x in (times[timed], times[~timed], differences)
    )
    low, high = float(differences[outside]), float(differences[count - 1 - outside])
    return ClockCost(with_clock, without, difference, low, high)


@dataclass(frozen=True)
class TypeTime:
    """All layers of one type: their number, and the sum of their medians in milliseconds."""

    type: str
    count: int
    milliseconds: float


def times_by_type(found: LayerRun) -> list[TypeTime]:
    """Add up layers by ncnn's type, the slowest type first."""
    times: defaultdict[str, list[float]] = defaultdict(list)
    for layer in found.layers:
        times[layer.type].append(layer.milliseconds)
    made = [TypeTime(kind, len(values), sum(values)) for kind, values in times.items()]
    return sorted(made, key=lambda one: (-one.milliseconds, one.type))
