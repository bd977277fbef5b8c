"""Figures without pyplot: no window, no global figure; written whole or not at all."""

import contextlib
import io
from collections.abc import Iterator
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
