"""How good the weights of a run are, measured on annotated images while it goes on, and shown on a few.

The image of an evaluation is a grid of the same few images each time, with true and found boxes.
"""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from pocketdet.datasets import Dataset, ImageAnnotations, evenly_spaced, read_stored_image
from pocketdet.datasets.records import coverage_text, evenly_spaced_indices
from pocketdet.evaluation import Detections, coco_accuracy
from pocketdet.evaluation.figures import INK, MUTED, WIDTH, drawn, shortened
from pocketdet.evaluation.misses import FOUND_COLOUR, TRUE_COLOUR
from pocketdet.models.build import AnyConfig, AnyDetector, build_detector
from pocketdet.models.one_stage import OneStageDetector
from pocketdet.models.postprocess import detect_one_stage, reference_stages
from pocketdet.training.state import RunState

if TYPE_CHECKING:
    from matplotlib.axes import Axes


SCORES = ("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large")


@dataclass(frozen=True)
class Evaluated:
    """COCO average precision, 0 to 1, to six places (not a number where no object is of that size).

    Attributes:
        step: number of steps done.
        images: number of images seen in training so far.
        evaluated, total: images that were measured, and images of the whole set.
        seconds: wall-clock time that it took, decoding included.
    """

    step: int
    images: int
    evaluated: int
    ap: float
    ap50: float
    ap75: float
    ap_small: float
    ap_medium: float
    ap_large: float
    seconds: float
    total: int

    def __str__(self) -> str:
        numbers = "  ".join(
            f"{name} {100 * share:.1f}"
            for name, share in (("AP", self.ap), ("AP50", self.ap50), ("AP75", self.ap75))
        )
        return f"step {self.step}: {numbers}  on {self.coverage} ({self.seconds:.0f} s)"

    @property
    def coverage(self) -> str:
        """Which part of the set the numbers are of, in words."""
        return coverage_text(self.evaluated, self.total)


@dataclass(frozen=True)
class Measured:
    """One or two evaluations of the same weights, and what was found in the images of the first.

    The first is over the images that every evaluation of the run has, so it can be compared with the
    earlier ones; at the end of a run a second one is over the whole set, where that is more.
    """

    evaluations: tuple[Evaluated, ...]
    dataset: Dataset
    found: tuple[Detections, ...]


class Evaluator:
    """Runs the weights of a run, the average where there is one, on a model of its own on the CPU.

    Nothing of the run is touched: neither its weights nor a random stream.
    """

    def __init__(self, detector: AnyConfig, dataset: Dataset, limit: int) -> None:
        with torch.random.fork_rng(devices=()):  # fresh layers draw from the global stream
            self._model = build_detector(detector)
        self._all = dataset
        self.dataset = evenly_spaced(dataset, limit)

    @property
    def coverage(self) -> str:
        """Which part of the set every evaluation of the run is over, in words."""
        return coverage_text(len(self.dataset.images), len(self._all.images))

    def image_count(self, *, everything: bool) -> int:
        """How many images `measure` looks at."""
        return len((self._all if everything else self.dataset).images)

    def measure(
        self,
        state: RunState,
        batch: int,
        *,
        everything: bool = False,
        progress: Callable[[], None] = lambda: None,
        stop: Callable[[], bool] = lambda: False,
    ) -> Measured | None:
        """Average precision of the weights now, with `everything` over the whole set as well.

        `progress` is called after each image. None if `stop` said so between two images. Raises
        `ImageError` if an image can no longer be read.
        """
        self._model.load_state_dict(state.weights)
        begin = time.perf_counter()
        found: dict[int, Detections] = {}
        evaluations: list[Evaluated] = []
        for part in (self.dataset, self._all) if everything else (self.dataset,):
            if evaluations and len(part.images) == len(self.dataset.images):
                break
            missing = (image for image in part.images if image.image_id not in found)
            for image, result in find(self._model, missing):
                found[image.image_id] = result
                progress()
                if stop():
                    return None
            seconds = time.perf_counter() - begin
            evaluations.append(self._evaluated(part, found, state.step, state.step * batch, seconds))
        results = tuple(found[image.image_id] for image in self.dataset.images)
        return Measured(tuple(evaluations), self.dataset, results)

    def _evaluated(
        self, part: Dataset, found: Mapping[int, Detections], step: int, images: int, seconds: float
    ) -> Evaluated:
        scores = coco_accuracy(part, [found[image.image_id] for image in part.images])
        numbers = {name: round(getattr(scores, name), 6) for name in SCORES}
        counts = {"evaluated": len(part.images), "total": len(self._all.images)}
        return Evaluated(step=step, images=images, seconds=seconds, **counts, **numbers)


def find(
    model: AnyDetector, images: Iterable[ImageAnnotations]
) -> Iterator[tuple[ImageAnnotations, Detections]]:
    """Every image with what the reference pipeline finds in it, boxes in its pixels."""
    for image in images:
        yield image, detect(model, read_stored_image(image.path))


def detect(model: AnyDetector, image: NDArray[np.uint8]) -> Detections:
    """What the reference pipeline finds in an image (H, W, 3) RGB, boxes in its pixels."""
    if isinstance(model, OneStageDetector):
        answer = detect_one_stage(model, image)
        return Detections(answer.boxes.numpy(), answer.scores.numpy(), answer.labels.numpy())
    stages = reference_stages(model, image)
    return Detections(stages.boxes.numpy(), stages.scores.numpy(), stages.labels.numpy())


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
