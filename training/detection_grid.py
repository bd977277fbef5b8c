"""The image of an evaluation: a grid of the same few images each time, true and found boxes."""

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pocketdet.datasets import Dataset, ImageAnnotations, read_stored_image
from pocketdet.datasets.records import evenly_spaced_indices
from pocketdet.evaluation import Detections
from pocketdet.evaluation.figures import INK, MUTED, WIDTH, drawn, shortened
from pocketdet.evaluation.gallery import FOUND_COLOUR, TRUE_COLOUR
from pocketdet.training.evaluation import Measured

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TILES, SHOWN_FROM = 8, 0.5  # tiles, and the least score of a box that is drawn
_COLUMNS, _GAP, _HEAD, _CAPTION = 4, 16, 76, 20  # the last three in pixels
_TILE = (WIDTH - _GAP) // _COLUMNS - _GAP


def write_detection_grid(path: Path, measured: Measured) -> None:
    """Draw `TILES` of the images that were measured, evenly spaced, to a JPEG 1200 pixels wide.

    Raises `UsageError` if the file cannot be written, `ImageError` if an image cannot be read.
    """
    chosen = evenly_spaced_indices(len(measured.dataset.images), TILES)
    height = _HEAD + math.ceil(len(chosen) / _COLUMNS) * (_TILE + _CAPTION + _GAP)
    with drawn(path, height) as figure:
        first = measured.evaluations[0]
        title = f"Step {first.step}: AP {100 * first.ap:.1f} on {first.coverage}"
        figure.text(_GAP / WIDTH, 1 - 34 / height, title, size=13, color=INK)
        words = ((TRUE_COLOUR, "labelled"), (FOUND_COLOUR, f"found, score from {SHOWN_FROM:g}"))
        for (colour, word), x in zip(words, (_GAP, _GAP + 90), strict=True):
            figure.text(x / WIDTH, 1 - 60 / height, "■", color=colour, size=11)
            figure.text((x + 16) / WIDTH, 1 - 60 / height, word, color=MUTED)
        for place, index in enumerate(chosen):
            row, column = divmod(place, _COLUMNS)
            left, top = _GAP + column * (_TILE + _GAP), _HEAD + row * (_TILE + _CAPTION + _GAP)
            corner = (left / WIDTH, 1 - (top + _TILE) / height)
            axes = figure.add_axes((*corner, _TILE / WIDTH, _TILE / height))
            _draw_tile(axes, measured.dataset, measured.dataset.images[index], measured.found[index])


def _draw_tile(axes: "Axes", dataset: Dataset, image: ImageAnnotations, found: Detections) -> None:
    """A whole image in its own proportions; the best box lies on top."""
    pixels = read_stored_image(image.path)
    height, width = pixels.shape[:2]
    axes.set_axis_off()
    axes.imshow(pixels, extent=(0, width, height, 0))
    for box in image.boxes:
        _draw_box(axes, box.tolist(), TRUE_COLOUR, 1.0)
    for index in np.argsort(found.scores, kind="stable").tolist():
        score, box = float(found.scores[index]), found.boxes[index].tolist()
        if score < SHOWN_FROM:
            continue
        _draw_box(axes, box, FOUND_COLOUR, 1.8)
        name = shortened(dataset.class_names[int(found.labels[index])], 20)
        at_right = box[0] > 0.6 * width
        axes.annotate(
            f"{name} {score:.2f}",
            (box[2] if at_right else box[0], max(box[1], 0.06 * height)),
            (0, 2),
            textcoords="offset points",
            ha="right" if at_right else "left",
            size=7.5,
            color="black",
            bbox={"facecolor": FOUND_COLOUR, "edgecolor": "none", "pad": 1.0},
        )
    labelled = ", ".join(sorted({dataset.class_names[int(label)] for label in image.labels}))
    axes.annotate(
        shortened(f"{image.path.name}: {labelled or 'nothing labelled'}", 56),
        (0, 0),
        (0, -4),
        xycoords="axes fraction",
        textcoords="offset points",
        va="top",
        size=7.5,
        color=MUTED,
    )


def _draw_box(axes: "Axes", box: list[float], colour: str, width: float) -> None:
    from matplotlib.patches import Rectangle

    x1, y1, x2, y2 = box
    axes.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, edgecolor=colour, linewidth=width))
