"""The worst misses as one image."""

import math
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pocketdet.datasets import Dataset, read_stored_image
from pocketdet.errors import UsageError
from pocketdet.evaluation.detections import Detections, check_detections
from pocketdet.evaluation.figures import INK, MUTED, WIDTH, drawn, shortened
from pocketdet.evaluation.misses import SEEN, Box, Miss

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TRUE_COLOUR, FOUND_COLOUR = "#19c37d", "#ff8a00"
_COLUMNS, _GAP, _HEAD, _CAPTION = 4, 16, 76, 62  # the last three in pixels
_TILE = (WIDTH - _GAP) // _COLUMNS - _GAP
_TRUE_LINE, _FOUND_LINE = 4.0, 1.8  # so that both are seen where they lie on one another
_CONTEXT = 3.0  # side of the part that is shown, in sides of what went wrong
_LEAST_SIDE = 64.0  # pixels of the image: less would show no surroundings


def write_gallery(
    path: str | Path, dataset: Dataset, found: Sequence[Detections], misses: Sequence[Miss]
) -> None:
    """Draw one tile per miss to a PNG or JPEG file, 1200 pixels wide, in the order of `misses`.

    A tile shows the surroundings of the miss, enlarged: its object and its detection in broad lines, other
    objects and other detections with a score of at least 0.3 in thin ones. The caption is `Miss.words`, the
    image's name and where in it the tile lies.
    Raises `UsageError` if a miss is of no image of `dataset`, `found` does not fit, or the file cannot be
    written, and `ImageError` if an image cannot be read.
    """
    check_detections(dataset, found)
    for miss in misses:
        if not 0 <= miss.image_index < len(dataset.images):
            raise UsageError(f"a miss is in image {miss.image_index}: found {len(dataset.images)} images")
    step = _TILE + _CAPTION + _GAP
    height = _HEAD + max(1, math.ceil(len(misses) / _COLUMNS)) * step
    with drawn(path, height) as figure:
        title = f"The {len(misses)} worst misses" if len(misses) > 1 else "The worst miss"
        figure.text(_GAP / WIDTH, 1 - 34 / height, title if misses else "No misses", size=13)
        for colour, x, word in ((TRUE_COLOUR, _GAP, "labelled"), (FOUND_COLOUR, _GAP + 90, "found")):
            figure.text(x / WIDTH, 1 - 60 / height, "■", color=colour, size=11)
            figure.text((x + 16) / WIDTH, 1 - 60 / height, word, color=MUTED)
        for place, miss in enumerate(misses):
            row, column = divmod(place, _COLUMNS)
            left, top = _GAP + column * (_TILE + _GAP), _HEAD + row * step
            corner = (left / WIDTH, 1 - (top + _TILE) / height)
            axes = figure.add_axes((*corner, _TILE / WIDTH, _TILE / height))
            _draw_tile(axes, dataset, found[miss.image_index], miss)


def _draw_tile(axes: "Axes", dataset: Dataset, one: Detections, miss: Miss) -> None:
    image = dataset.images[miss.image_index]
    pixels = read_stored_image(image.path)
    x1, y1, x2, y2 = view(miss, (pixels.shape[1], pixels.shape[0]))
    axes.set_axis_off()
    axes.set_anchor("SW")  # the caption begins where the image does
    axes.imshow(pixels[y1:y2, x1:x2], extent=(x1, x2, y2, y1))
    axes.set_xlim(x1, x2)
    axes.set_ylim(y2, y1)
    for box in image.boxes:
        _draw_box(axes, box.tolist(), TRUE_COLOUR, 1.0)
    for box in one.boxes[np.asarray(one.scores) >= SEEN]:
        _draw_box(axes, box.tolist(), FOUND_COLOUR, 1.0)
    if miss.true_box is not None:
        _draw_box(axes, miss.true_box, TRUE_COLOUR, _TRUE_LINE)
    if miss.found_box is not None:
        _draw_box(axes, miss.found_box, FOUND_COLOUR, _FOUND_LINE)
    names = [shortened(name, 24) for name in dataset.class_names]
    lines = textwrap.wrap(miss.words(names), 37)
    where = f"{shortened(image.path.name, 26)}   {x2 - x1}×{y2 - y1} at ({x1}, {y1})"
    below: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points", "va": "top"}
    axes.annotate("\n".join(lines), (0, 0), (0, -4), size=9.5, color=INK, **below)
    axes.annotate(where, (0, 0), (0, -6 - 12 * len(lines)), size=7.5, color=MUTED, **below)


def view(miss: Miss, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """The part (x1, y1, x2, y2) of an image of (width, height) that shows a miss: a square, cut to fit."""
    boxes = np.array([box for box in (miss.true_box, miss.found_box) if box is not None])
    if not len(boxes):
        return 0, 0, *size
    low, high = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
    side = math.ceil(max(_CONTEXT * float((high - low).max()), _LEAST_SIDE))
    x1, x2 = _span(float(low[0] + high[0]) / 2, side, size[0])
    y1, y2 = _span(float(low[1] + high[1]) / 2, side, size[1])
    return x1, y1, x2, y2


def _span(centre: float, side: int, length: int) -> tuple[int, int]:
    """`side` whole pixels about `centre`, moved to lie within 0 and `length`."""
    start = max(0, min(round(centre - side / 2), length - side))
    return start, min(length, start + side)


def _draw_box(axes: "Axes", box: Box | list[float] | NDArray[np.float32], colour: str, width: float) -> None:
    from matplotlib.patches import Rectangle

    x1, y1, x2, y2 = box
    # The dark line beneath keeps a box visible on any image.
    for line, ink in ((width + 0.8, "#00000090"), (width, colour)):
        axes.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, edgecolor=ink, linewidth=line))
