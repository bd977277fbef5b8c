"""What a user may choose about an export, and the pictures that follow from it."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pocketdet.datasets.subset import evenly_spaced_indices
from pocketdet.errors import UsageError
from pocketdet.export.examples import made_smaller, synthetic_image
from pocketdet.export.passes.lane_targets import DEFAULT_TARGET
from pocketdet.export.plan_precision import wants_int8
from pocketdet.export.precision import LayerChoice, LayerPrecision
from pocketdet.export.quantize import QuantizeSettings
from pocketdet.export.to_int8 import MOST_PICTURES, Metric
from pocketdet.runtime.bundle import Bundle
from pocketdet.runtime.images import as_rgb, read_image


@dataclass(frozen=True)
class MetricLimit:
    """A limit on the accuracy that int8 may lose.

    Attributes:
        open_metric: opens the metric on the fp32 bundle of the same detector, see `evaluation.ap_metric`.
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
    """name: of the bundle, by default its architecture.

    precision: what weights are stored in and layers are made to be computed in; fp16 runs as fp32 where the
    processor has no half precision. layers: other choices for single layers, the last that fits decides.
    calibration: pictures such as the detector will see, to measure the range of every layer on; the golden
    picture and two synthetic ones are always used. A layer that could overflow in half precision stays in
    fp32.
    int8: how int8 is found; `keep` and `max_judged` in it are set by `layers` and `metric_limit`. int8 needs
    calibration pictures; of more than 512, so many evenly spaced ones are used.
    target: the machines whose SIMD lanes the ncnn graphs are laid out for, see `LANE_TARGETS`; None leaves
    them as they were converted. The answers are the same on every machine.
    slim leaves out what a phone does not need (ONNX twins, PyTorch weights). archive writes one zip file.
    golden_image: an RGB (H, W, 3) uint8 picture for the golden test; by default a seeded synthetic one, and
    for int8, whose ranges fit no such picture, the first of the calibration, made smaller if it is large.
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


def calibration_pictures(options: ExportOptions) -> tuple[Path, ...]:
    """Those to be used. Raises `UsageError` for int8 without any, and for limits on int8 without int8."""
    if not wants_int8(options.precision, options.layers):
        if options.metric_limit or options.int8:
            raise UsageError("limits and settings of int8 were given, and no layer is to be int8")
        return options.calibration
    if not options.calibration:
        raise UsageError(
            "int8 needs pictures such as the detector will see, to find the range of each layer: give some "
            "(100 to 500) with --calib"
        )
    if len(options.calibration) <= MOST_PICTURES:
        return options.calibration
    return tuple(
        options.calibration[i] for i in evenly_spaced_indices(len(options.calibration), MOST_PICTURES)
    )


def golden_picture(
    size: tuple[int, int], options: ExportOptions, calibration: tuple[Path, ...]
) -> NDArray[np.uint8]:
    """RGB (H, W, 3), for a network input of `size` (height, width). Raises `ImageError`."""
    if options.golden_image is not None:
        return made_smaller(as_rgb(options.golden_image), 8192)  # 2^26 pixels, the most a golden image has
    if wants_int8(options.precision, options.layers) and calibration:
        return made_smaller(read_image(calibration[0]))
    return as_rgb(synthetic_image(size))
