"""The options of an export, and the images that follow from them."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pocketdet.datasets.records import evenly_spaced_indices
from pocketdet.datasets.standard_frames import COUNT, standard_frame
from pocketdet.errors import UsageError
from pocketdet.export.passes.channel_alignment import DEFAULT_TARGET
from pocketdet.export.plan_precision import wants_int8
from pocketdet.export.precision import LayerChoice, LayerPrecision
from pocketdet.export.quantization import QuantizeSettings
from pocketdet.export.reference.base import synthetic_image
from pocketdet.export.to_int8 import MOST_IMAGES, Metric
from pocketdet.runtime.bundle import Bundle
from pocketdet.runtime.images import as_rgb, read_image

DISPLAY_THRESHOLD = 0.35  # where trained weights have the low threshold that AP is measured with
OTHER_SEEDS = 3  # the first seed of synthetic images that no other step uses


@dataclass(frozen=True)
class MetricLimit:
    """A limit on the accuracy that int8 may lose.

    Attributes:
        open_metric: opens the metric on the fp32 bundle of the same detector; see `evaluation.evaluate`.
        max_drop: the most it may report, in points, above 0 and at most 100.

    Raises:
        UsageError: if `max_drop` is out of range.
    """

    open_metric: Callable[[Bundle], AbstractContextManager[Metric]]
    max_drop: float

    def __post_init__(self) -> None:
        if not 0 < self.max_drop <= 100:
            raise UsageError(
                f"the AP that int8 may cost is {self.max_drop:g} points: expected above 0, to 100"
            )


@dataclass(frozen=True)
class ExportOptions:
    """The options of an export.

    Attributes:
        name: of the bundle; by default its architecture.
        precision: the storage of the weights, and the arithmetic that layers are prepared for. fp16 runs as
            fp32 on processors without half precision. Layers that could overflow in half precision stay fp32.
        layers: the precision of single layers; the last choice that matches a layer decides.
        calibration: image files like those that the detector will see, to measure the range of every layer
            on.
            Half precision also uses the golden image and two synthetic ones. int8 requires images; if there
            are more than 512, 512 evenly spaced ones are used.
        int8: settings of the quantization; `layers` and `metric_limit` set its `exclude` and `max_metric`.
        metric_limit: the accuracy that int8 may lose.
        target: the machines that channels are aligned for, see `ALIGNMENT_TARGETS`; None skips the
            alignment. The detections are the same on every machine.
        slim: whether the files that a phone does not need are omitted (ONNX and PyTorch weights).
        archive: whether one zip file is written instead of a folder.
        overwrite: whether an existing bundle is replaced.
        golden_image: an RGB (H, W, 3) uint8 image for the golden test; by default a synthetic one or a
            calibration image on which the detector detects, for int8 a calibration image, scaled down to 640
            pixels.
        score_threshold: the score threshold of the bundle, in [0, 1]; by default the model's own. All steps
            are compared at the model's own, the golden test too.
        per_class: whether boxes only suppress those of their own class; by default as the model has it.

    Raises:
        UsageError: if `score_threshold` is out of range.
    """

    name: str | None = None
    precision: LayerPrecision = "fp32"
    layers: tuple[LayerChoice, ...] = ()
    calibration: tuple[Path, ...] = ()
    int8: QuantizeSettings | None = None
    metric_limit: MetricLimit | None = None
    target: str | None = DEFAULT_TARGET
    slim: bool = False
    archive: bool = False
    overwrite: bool = False
    golden_image: NDArray[np.uint8] | None = None
    score_threshold: float | None = None
    per_class: bool | None = None

    def __post_init__(self) -> None:
        score = self.score_threshold
        if score is not None and not 0 <= score <= 1:
            raise UsageError(f"score_threshold={score:g}: expected a number from 0 to 1")


def calibration_images(options: ExportOptions) -> tuple[Path, ...]:
    """The calibration images to use.

    Raises:
        UsageError: if int8 has no images, or settings of int8 are given without int8.
    """
    if not wants_int8(options.precision, options.layers):
        if options.metric_limit or options.int8:
            raise UsageError("limits and settings of int8 were given, and no layer is to be int8")
        return options.calibration
    if not options.calibration:
        raise UsageError(
            "int8 needs images like those that the detector will see, to find the range of each layer: give "
            "100 to 500 with --calib"
        )
    if len(options.calibration) <= MOST_IMAGES:
        return options.calibration
    return tuple(options.calibration[i] for i in evenly_spaced_indices(len(options.calibration), MOST_IMAGES))


def golden_images(
    size: tuple[int, int],
    options: ExportOptions,
    calibration: tuple[Path, ...],
    *,
    is_two_stage: bool = False,
) -> Iterator[NDArray[np.uint8]]:
    """The images that may become the golden image, the preferred one first. May raise `ImageError`.

    Args:
        size: (height, width) of the network's input.
        options: its `golden_image`, if any, is the only one.
        calibration: image files. For int8 they are the only ones, because its ranges fit them.
        is_two_stage: whether images with many objects come second, for many proposals.

    Yields:
        RGB (H, W, 3) uint8.
    """
    if options.golden_image is not None:
        yield downscale(options.golden_image, 8192)  # 2^26 pixels, the most a golden image has
        return
    yield from map(downscale, map(read_image, calibration))
    if not wants_int8(options.precision, options.layers):
        yield as_rgb(synthetic_image(size))
        if is_two_stage:
            yield from map(standard_frame, range(COUNT))
        yield from other_images(size, ())


def other_images(
    size: tuple[int, int], calibration: tuple[Path, ...], *, is_int8: bool = False
) -> Iterator[NDArray[np.uint8]]:
    """Images to compare detections on beside the golden one: of calibration, then synthetic ones.

    Args:
        size: (height, width) of the network's input.
        calibration: image files; the last one first, because the first ones may be golden.
        is_int8: whether there are none beside those of calibration.

    Yields:
        RGB (H, W, 3) uint8.
    """
    yield from map(downscale, map(read_image, reversed(calibration)))
    if not is_int8:
        yield from (as_rgb(synthetic_image(size, seed)) for seed in itertools.count(OTHER_SEEDS))


def downscale(image: NDArray[np.uint8], longest: int = 640) -> NDArray[np.uint8]:
    """Scale an RGB image (H, W, 3) down to at most `longest` pixels on its longer side."""
    scale = longest / max(image.shape[:2])
    if scale >= 1:
        return image
    size = (max(1, round(scale * image.shape[1])), max(1, round(scale * image.shape[0])))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
