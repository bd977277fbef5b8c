"""What an alignment did, in words and numbers."""

from collections.abc import Mapping
from dataclasses import dataclass

from pocketdet.export.passes.lanes.search import Choice
from pocketdet.runtime.ncnn_graph import Graph, Shape, count_macs


@dataclass(frozen=True)
class Widened:
    """A tensor (or several that share one channel order) that got padding."""

    makers: tuple[str, ...]
    channels: int
    lanes: int

    def __str__(self) -> str:
        return f"{_names(self.makers)}: {self.channels} -> {self.lanes} channels"


@dataclass(frozen=True)
class Refused:
    """A tensor whose channel count is no whole number of lanes and stays, and why."""

    makers: tuple[str, ...]
    channels: int
    reason: str

    def __str__(self) -> str:
        return f"{_names(self.makers)}: stays at {self.channels} channels: {self.reason}"


@dataclass(frozen=True)
class AlignReport:
    """`macs` and `weight_bytes` are (before, after); bytes are None for a graph read without weights.

    `estimated_ratio` is the cost model's time before over after. `wider_outputs` maps outputs of the graph
    that keep extra channels at their end to (channels, lanes); empty unless asked for. `crops` counts layers
    that cut padding off again.
    """

    lanes: int
    widened: tuple[Widened, ...]
    refused: tuple[Refused, ...]
    macs: tuple[int, int]
    weight_bytes: tuple[int, int] | None
    estimated_ratio: float
    crops: int
    wider_outputs: Mapping[str, tuple[int, int]]

    @property
    def changed(self) -> bool:
        """Whether anything was widened."""
        return bool(self.widened)

    def summary(self) -> str:
        """One line."""
        if not self.changed:
            return f"nothing to gain with {self.lanes} lanes, left as it was"
        steps = sorted({(item.channels, item.lanes) for item in self.widened})
        shown = ", ".join(f"{channels} -> {lanes}" for channels, lanes in steps)
        more = self.macs[1] / self.macs[0] - 1 if self.macs[0] else 0.0
        return f"{len(self.widened)} tensors widened ({shown}), {more:+.1%} multiply-accumulates"

    def __str__(self) -> str:
        lines = [f"{len(self.widened)} tensors widened to whole lanes of {self.lanes}"]
        if not self.changed:
            lines = [f"nothing to gain with {self.lanes} lanes: the graph is as it was"]
        lines += [f"  {item}" for item in (*self.widened, *self.refused)]
        lines.append(f"multiply-accumulates {self.macs[0]} -> {self.macs[1]}")
        if self.weight_bytes is not None:
            lines.append(f"weights {self.weight_bytes[0]} -> {self.weight_bytes[1]} bytes")
        lines.append(f"estimated speed-up {self.estimated_ratio:.2f}, {self.crops} crops added")
        return "\n".join(lines)


def _names(makers: tuple[str, ...]) -> str:
    shown = ", ".join(makers[:3])
    return f"{shown} and {len(makers) - 3} more" if len(makers) > 3 else shown


def make_report(
    plain: tuple[Graph, Mapping[str, Shape]],
    aligned: tuple[Graph, Mapping[str, Shape]],
    lanes: int,
    start: Choice,
    best: Choice,
) -> AlignReport:
    """Compare the graph as it was with what it became; both with the shapes of their blobs."""
    found = best.plan.found
    widened, refused = [], []
    for number, own in enumerate(found.classes):
        width = best.widths[number]
        if width > own.size:
            widened.append(Widened(tuple(own.makers), own.size, width))
        elif own.size % lanes:
            reason = own.stays or best.reasons.get(number, "padding it does not pay")
            refused.append(Refused(tuple(own.makers), own.size, reason))
    outputs = {sink.blob for sink in found.sinks if sink.kind == "output"}
    wider = {
        blob: (found.shapes[blob][0], len(best.plan.layouts[blob]))
        for blob in sorted(outputs)
        if best.plan.wide_outputs and best.plan.changed(blob)
    }
    costs = [count_macs(*side) for side in (plain, aligned)]
    known = [sum(cost.weight_bytes or 0 for cost in side) for side in costs]
    macs = [sum(cost.macs or 0 for cost in side) for side in costs]
    return AlignReport(
        lanes,
        tuple(widened),
        tuple(refused),
        (macs[0], macs[1]),
        None if plain[0].structure_only else (known[0], known[1]),
        start.cost / best.cost if best.cost else 1.0,
        len(aligned[0].layers) - len(plain[0].layers),
        wider,
    )
