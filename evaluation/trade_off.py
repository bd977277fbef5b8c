"""Accuracy against what it costs: one image for backends of detectors side by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pocketdet.evaluation.figures import COLOURS, INK, MARKS, WIDTH, drawn, plain_axes, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HEIGHT = 420


@dataclass(frozen=True)
class Cost:
    """One form of one detector.

    ap is average precision in [0, 1]; megabytes are those of its network files; milliseconds an image are
    None where time means nothing.
    """

    name: str
    ap: float
    megabytes: float
    milliseconds: float | None


def write_trade_off(path: str | Path, costs: Sequence[Cost], extent: str = "") -> None:
    """Draw AP against size and against time, 1200 pixels wide; `extent` says which images.

    Raises `UsageError` for a name that is no image's, or if it cannot be written.
    """
    with drawn(path, HEIGHT) as figure:
        title = "Average precision against size and time" + (f", {extent}" if extent else "")
        figure.text(24 / WIDTH, 1 - 30 / HEIGHT, title, size=13, color=INK)
        for left, label in (
            (70, "megabytes of network files"),
            (470, "milliseconds an image, this machine"),
        ):
            box = (left / WIDTH, 64 / HEIGHT, 330 / WIDTH, (HEIGHT - 64 - 64) / HEIGHT)
            axes = figure.add_axes(box)
            _draw(axes, costs, by_time=left > 70)
            axes.set_xlabel(label)
            axes.set_ylabel("AP" if left == 70 else "")
        handles, labels = figure.axes[0].get_legend_handles_labels()
        place = (830 / WIDTH, 1 - 64 / HEIGHT)
        figure.legend(handles, labels, loc="upper left", bbox_to_anchor=place, frameon=False, borderaxespad=0)


def _draw(axes: "Axes", costs: Sequence[Cost], *, by_time: bool) -> None:
    plain_axes(axes)
    for i, cost in enumerate(costs):
        across = cost.milliseconds if by_time else cost.megabytes
        if across is None:
            continue
        colour, mark = COLOURS[i % len(COLOURS)], MARKS[i % len(MARKS)]
        axes.plot([across], [100 * cost.ap], mark, color=colour, markersize=8, label=_label(cost))
    aps = [100 * cost.ap for cost in costs]
    axes.set_ylim(min(aps) - 1.5, max(aps) + 1.5)  # a point of AP is seen; this is no bar that starts at 0
    axes.set_xlim(left=0, right=1.15 * axes.get_xlim()[1])


def _label(cost: Cost) -> str:
    time = "" if cost.milliseconds is None else f", {cost.milliseconds:.1f} ms"
    return f"{shortened(cost.name, 52)}\nAP {100 * cost.ap:.1f}, {cost.megabytes:.1f} MB{time}"
