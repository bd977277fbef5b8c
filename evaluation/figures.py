"""Figures without pyplot: no window, no global figure; written whole or not at all.

`write_trade_off` draws accuracy against what it costs: one image for backends of detectors side by side.
"""

import contextlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pocketdet.errors import UsageError
from pocketdet.io import atomic_write

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


WIDTH = 1200  # pixels
INK, MUTED, RULE = "#1b1f24", "#5c6670", "#d5dae0"
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7a5195", "#9aa5b1")
MARKS = "osD^vPX*"
_DPI = 100
_SUFFIXES = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg"}
_STYLE: dict[Any, Any] = {  # keyed by literals in some versions of matplotlib
    "font.family": ["DejaVu Sans"],
    "font.size": 9.0,
    "text.color": INK,
    "text.parse_math": False,  # a class name may hold a dollar sign
    "axes.edgecolor": RULE,
    "axes.labelcolor": MUTED,
    "axes.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "savefig.bbox": None,
}


@contextlib.contextmanager
def drawn(path: str | Path, height: int) -> Iterator["Figure"]:
    """A figure of `WIDTH` by `height` pixels to draw on, written to `path` once the block ends well.

    Raises `UsageError` if the name ends in neither .png, .jpg nor .jpeg, if the place cannot be written, or
    if matplotlib is not installed.
    """
    target = Path(path)
    kind = _SUFFIXES.get(target.suffix.lower())
    if kind is None:
        raise UsageError(f"{target}: expected a name that ends in one of {', '.join(_SUFFIXES)}")
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UsageError("drawing figures needs matplotlib: pip install 'pocketdet[accuracy]'") from error
    content = io.BytesIO()
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(WIDTH / _DPI, height / _DPI), dpi=_DPI, facecolor="white")
        yield figure
        figure.savefig(content, format=kind, dpi=_DPI)
    atomic_write(target, content.getvalue())


def plain_axes(axes: "Axes") -> None:
    """A light grid behind the data, and no frame above and to the right of it."""
    axes.grid(color=RULE, linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def shortened(text: str, length: int) -> str:
    """The text, cut to `length` characters with an ellipsis if it is longer."""
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"


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


def write_trade_off(path: str | Path, costs: Sequence[Cost], coverage: str = "") -> None:
    """Draw AP against size and against time, 1200 pixels wide; `coverage` says which images.

    Raises `UsageError` for a name that is no image's, or if it cannot be written.
    """
    with drawn(path, HEIGHT) as figure:
        title = "Average precision against size and time" + (f", {coverage}" if coverage else "")
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
