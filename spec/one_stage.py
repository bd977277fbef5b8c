"""Description of the outputs of a one-stage detector. Definition: docs/reference/one-stage.md.

The PyTorch reference (`models/ops/one_stage_decode.py`), the C++ core and bundle manifests use this
description, for built-in and for third-party detectors. Field names are those of the manifest. A value out of
range raises `UsageError`.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, get_args

from pydantic import Field

from pocketdet.errors import UsageError
from pocketdet.spec.validated import ValidatedConfig

Four = tuple[float, float, float, float]
Layout = Literal["map", "rows", "columns"]
Activation = Literal["none", "sigmoid", "softmax"]
Background = Literal["none", "first", "last"]
CentreActivation = Literal["none", "tanh", "sigmoid"]
SizeActivation = Literal["none", "exp", "sigmoid", "sigmoid_squared", "square"]
DistanceActivation = Literal["none", "exp", "relu"]
Unit = Literal["anchor", "stride", "input", "pixel"]
Origin = Literal["anchor", "image"]
Suppression = Literal["none", "hard", "linear", "gaussian"]

MAX_LOG_SCALE = 4.135166556742356  # log(1000 / 16)
_MANY, _LARGE = 100_000_000, 1e6
_MOST_VALUES = 2**25  # to read: fields may share elements, so the outputs' sizes do not limit this
_ROUNDED = 1e-4  # of a cell; a whole stride of up to 4096 pixels leaves at least 1/4096


@dataclass(frozen=True)
class OutputField(ValidatedConfig):
    """The position of one kind of values in an output: element `k` of anchor `a` of cell `c` of one level.

    Attributes:
        output: name of the output. Layouts are without the batch dimension.
        layout: "map" (channels, h, w), "rows" (rows, channels) or "columns" (channels, rows).
        first, anchor_channels, element_step: the channel is `first + a * anchor_channels + k * element_step`.
        first_row, cell_step, anchor_step: in "rows" and "columns", the row is
            `first_row + c * cell_step + a * anchor_step`. Cells count row by row. `cell_step` is by default
            `A * anchor_step`, at least 1, with `A` anchors per cell.
    """

    output: str
    layout: Layout = "map"
    first: int = 0
    anchor_channels: int = 0
    element_step: int = 1
    first_row: int = 0
    cell_step: int | None = None
    anchor_step: int = 1

    def __post_init__(self) -> None:
        self._one_of("layout", get_args(Layout))
        self._within(0, _MANY, "first", "anchor_channels", "first_row", "anchor_step")
        self._within(1, _MANY, "element_step")
        if self.cell_step is not None:
            self._within(1, _MANY, "cell_step")
        if self.layout == "map" and (self.first_row, self.cell_step, self.anchor_step) != (0, None, 1):
            raise UsageError(
                f"OutputField of {self.output!r}: a map has no first_row, cell_step and anchor_step"
            )


@dataclass(frozen=True)
class Level(ValidatedConfig):
    """One feature map: its cells, their anchors and the fields of its values.

    Attributes:
        grid: (height, width) in cells.
        stride: pixels per cell, or (x, y) where they differ. Fractions are allowed.
        anchors: sizes (width, height) in pixels, the same at every cell. An anchor-free detector has one
            anchor of the size of a cell.
        classes: class values.
        boxes: box values, one field for each of `OneStageSpec.codings`.
        objectness: objectness values, required if they are used.
        offset: the centre of cell (y, x) is `((x + offset) * stride_x, (y + offset) * stride_y)`.
        sizes: for each coding, the field of the second half of its box values, where that lies elsewhere than
            the first half; `boxes` then has the first half only. Empty if all are in `boxes`.
    """

    grid: tuple[int, int]
    stride: float | tuple[float, float]
    anchors: tuple[tuple[float, float], ...]
    classes: OutputField
    boxes: tuple[OutputField, ...]
    objectness: OutputField | None = None
    offset: float = 0.5
    sizes: tuple[OutputField | None, ...] = ()

    def __post_init__(self) -> None:
        self._within(1, 4096 * 4096, "grid")
        self._within(1, 4096, "stride")
        self._counts(64, "anchors")
        self._within(0, 1, "offset")
        for size in self.anchors:
            if not all(0 < side <= _LARGE for side in size):
                raise UsageError(
                    f"anchor size {size}: expected two sides above 0 and up to {_LARGE:g} pixels"
                )

    @property
    def strides(self) -> tuple[float, float]:
        """Pixels per cell along x and y."""
        return self.stride if isinstance(self.stride, tuple) else (self.stride, self.stride)

    @property
    def cells(self) -> int:
        """The number of cells of this level."""
        return self.grid[0] * self.grid[1]

    @property
    def count(self) -> int:
        """The number of anchors of this level."""
        return self.cells * len(self.anchors)

    def cell_step(self, field: OutputField) -> int:
        """Return the distance of two cells in rows."""
        return field.cell_step or max(1, len(self.anchors) * field.anchor_step)

    def rows(self, field: OutputField) -> int:
        """Return the number of rows from the first to the last anchor in "rows" and "columns"."""
        last_anchor = len(self.anchors) - 1
        return (self.cells - 1) * self.cell_step(field) + last_anchor * field.anchor_step + 1

    def size_field(self, coding: int) -> OutputField | None:
        """Return the field of the second half of a coding's elements, `None` if they are with the others."""
        return self.sizes[coding] if self.sizes else None

    def required_shape(self, field: OutputField, elements: int) -> tuple[int, ...]:
        """Return the least shape of an output with a field, without the batch dimension.

        Args:
            field: the field to read.
            elements: values per anchor.
        """
        last_anchor = len(self.anchors) - 1
        channels = field.first + last_anchor * field.anchor_channels + (elements - 1) * field.element_step + 1
        if field.layout == "map":
            return (channels, *self.grid)
        rows = field.first_row + self.rows(field)
        return (rows, channels) if field.layout == "rows" else (channels, rows)

    def shape_error(self, field: OutputField, elements: int, shape: Sequence[int | None]) -> str:
        """Describe why an output does not contain a field.

        Args:
            field: the field to read.
            elements: values per anchor.
            shape: shape of the output without the batch dimension; `None` for an unknown length.

        Returns:
            One sentence, empty if the field fits.
        """
        least = self.required_shape(field, elements)
        exact = self.grid if field.layout == "map" else ()
        fits = len(shape) == len(least) and all(
            length is not None and length >= low for length, low in zip(shape, least, strict=True)
        )
        if fits and tuple(shape[1:] if exact else ()) == exact:
            return ""
        return f"output {field.output!r} is {tuple(shape)}: its field needs {least} ({field.layout})"


class _Coding(ValidatedConfig):
    order: tuple[int, int, int, int]
    multiplier: Four

    def _check_order(self) -> None:
        if sorted(self.order) != [0, 1, 2, 3]:
            raise UsageError(f"{type(self).__name__}.order is {self.order}: expected a permutation of 0 to 3")
        self._within(-_LARGE, _LARGE, "multiplier")


@dataclass(frozen=True)
class CxcywhCoding(_Coding):
    """Centre, width and height: elements `order[0]` to `order[3]`, multiplied by `multiplier`."""

    encoding: Literal["cxcywh"] = "cxcywh"
    order: tuple[int, int, int, int] = (0, 1, 2, 3)
    multiplier: Four = (1.0, 1.0, 1.0, 1.0)
    origin: Origin = "anchor"
    centre_activation: CentreActivation = "none"
    centre_gain: float = 1.0
    centre_shift: float = 0.0
    centre_unit: Unit = "anchor"
    size_activation: SizeActivation = "exp"
    size_unit: Unit = "anchor"
    max_log: float = MAX_LOG_SCALE

    def __post_init__(self) -> None:
        self._check_order()
        self._one_of("encoding", ("cxcywh",))
        self._one_of("origin", get_args(Origin))
        self._one_of("centre_activation", get_args(CentreActivation))
        self._one_of("size_activation", get_args(SizeActivation))
        for name in ("centre_unit", "size_unit"):
            self._one_of(name, get_args(Unit))
        self._within(-_LARGE, _LARGE, "centre_gain", "centre_shift")
        self._within(0, 80, "max_log")


@dataclass(frozen=True)
class DistanceCoding(_Coding):
    """Distances from the anchor's centre to the left, top, right and bottom side.

    If `bins` is above 1, each distance is a distribution over 0 to bins - 1 (generalised focal loss), and
    side `k` starts at element `k * bins`.
    """

    encoding: Literal["distance"] = "distance"
    order: tuple[int, int, int, int] = (0, 1, 2, 3)
    multiplier: Four = (1.0, 1.0, 1.0, 1.0)
    activation: DistanceActivation = "none"
    unit: Unit = "stride"
    bins: int = 1
    max_log: float = MAX_LOG_SCALE

    def __post_init__(self) -> None:
        self._check_order()
        self._one_of("encoding", ("distance",))
        self._one_of("activation", get_args(DistanceActivation))
        self._one_of("unit", get_args(Unit))
        self._within(1, 256, "bins")
        self._within(0, 80, "max_log")
        if self.bins > 1 and self.activation != "none":
            raise UsageError(f"DistanceCoding.activation is {self.activation!r}: a distribution has none")


@dataclass(frozen=True)
class XyxyCoding(_Coding):
    """Corner coordinates x1, y1, x2, y2, multiplied by `multiplier`; unit "pixel", or "input" (0 to 1)."""

    encoding: Literal["xyxy"] = "xyxy"
    order: tuple[int, int, int, int] = (0, 1, 2, 3)
    multiplier: Four = (1.0, 1.0, 1.0, 1.0)
    unit: Literal["input", "pixel"] = "pixel"

    def __post_init__(self) -> None:
        self._check_order()
        self._one_of("encoding", ("xyxy",))
        self._one_of("unit", ("input", "pixel"))


BoxCoding = Annotated[CxcywhCoding | DistanceCoding | XyxyCoding, Field(discriminator="encoding")]


def default_grid(input_size: tuple[int, int], stride: float | tuple[float, float]) -> tuple[int, int]:
    """Return the cells of a map: sides divided by the stride, rounded up, as padded convolutions do.

    Args:
        input_size: (height, width) in pixels.
        stride: pixels per cell, or (x, y). May be a rounded fraction: 300 / 15.7895 is 19.
    """
    x, y = stride if isinstance(stride, tuple) else (stride, stride)
    height, width = input_size
    return math.ceil(height / y - _ROUNDED), math.ceil(width / x - _ROUNDED)


def box_elements(coding: BoxCoding) -> int:
    """Return the number of values per anchor of this coding."""
    return 4 * coding.bins if isinstance(coding, DistanceCoding) else 4


@dataclass(frozen=True)
class Scores(ValidatedConfig):
    """Score = class probability ^ class_power * objectness ^ objectness_power.

    `background` is the position of the background element among the classes. An objectness with "softmax" has
    two elements, background first. A power of 0 removes its factor.
    """

    activation: Activation = "sigmoid"
    background: Background = "none"
    objectness_activation: Activation = "sigmoid"
    class_power: float = 1.0
    objectness_power: float = 0.0

    def __post_init__(self) -> None:
        self._one_of("activation", get_args(Activation))
        self._one_of("background", get_args(Background))
        self._one_of("objectness_activation", get_args(Activation))
        self._within(0, 8, "class_power", "objectness_power")


@dataclass(frozen=True)
class Selection(ValidatedConfig):
    """Thresholds, limits and NMS; `None` means no limit.

    `best_class_only`: an anchor is a candidate only for its most likely class. `per_class`: boxes only
    suppress boxes of the same class.
    """

    score_threshold: float = 0.05
    best_class_only: bool = False
    objectness_threshold: float | None = None
    top_n_objectness: int | None = None
    top_n_per_level: int | None = None
    top_n: int | None = None
    clip: bool = True
    min_size: float = 0.0
    nms: Suppression = "hard"
    nms_iou: float = 0.5
    sigma: float = 0.5
    per_class: bool = True
    max_detections: int = 100

    def __post_init__(self) -> None:
        self._one_of("nms", get_args(Suppression))
        self._within(0, 1, "score_threshold", "nms_iou")
        self._within(0, 4096, "min_size")
        self._within(1e-6, _LARGE, "sigma")
        self._within(1, 10_000, "max_detections")
        for name in ("top_n_objectness", "top_n_per_level", "top_n"):
            if getattr(self, name) is not None:
                self._within(1, 1_000_000, name)
        if self.objectness_threshold is not None:
            self._within(0, 1, "objectness_threshold")


@dataclass(frozen=True)
class OneStageSpec(ValidatedConfig):
    """Post-processing from network outputs to detections, for one input size (height, width)."""

    input_size: tuple[int, int]
    num_classes: int
    levels: tuple[Level, ...]
    codings: tuple[BoxCoding, ...]
    scores: Scores = Scores()
    selection: Selection = Selection()

    def __post_init__(self) -> None:
        self._within(1, 4096, "input_size")
        self._within(1, 10_000, "num_classes")
        self._counts(16, "levels")
        self._counts(4, "codings")
        for level in self.levels:
            if len(level.boxes) != len(self.codings):
                raise UsageError(f"a level has {len(level.boxes)} box fields for {len(self.codings)} codings")
            if level.sizes and len(level.sizes) != len(self.codings):
                raise UsageError(
                    f"a level has {len(level.sizes)} size fields for {len(self.codings)} codings"
                )
            if self.uses_objectness and level.objectness is None:
                raise UsageError("objectness is used, but a level has no field for it")
        values = self.class_elements + self.objectness_elements * self.uses_objectness
        values += sum(map(box_elements, self.codings))
        if self.count * values > _MOST_VALUES:
            raise UsageError(
                f"{self.count} anchors with {values} values each: expected at most 2^25 values in all"
            )

    @property
    def uses_objectness(self) -> bool:
        """Whether objectness is a factor of the score or limits the anchors; if not, it is not read."""
        rule = self.selection
        limited = rule.objectness_threshold is not None or rule.top_n_objectness is not None
        return limited or self.scores.objectness_power > 0

    @property
    def count(self) -> int:
        """The number of anchors of all levels."""
        return sum(level.count for level in self.levels)

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the outputs of all fields, in order of first use."""
        named = [s for x in self.levels for s in (x.classes, x.objectness, *x.boxes, *x.sizes)]
        return tuple(dict.fromkeys(field.output for field in named if field is not None))

    @property
    def class_elements(self) -> int:
        """The number of class values per anchor, including the background."""
        return self.num_classes + (self.scores.background != "none")

    @property
    def objectness_elements(self) -> int:
        """The number of objectness values per anchor."""
        return 2 if self.scores.objectness_activation == "softmax" else 1

    def fields_read(self) -> Iterator[tuple[Level, OutputField, int]]:
        """Yield each field that the decoder reads with its level and the number of values per anchor."""
        for level in self.levels:
            yield level, level.classes, self.class_elements
            if self.uses_objectness and level.objectness is not None:
                yield level, level.objectness, self.objectness_elements
            for number, (field, coding) in enumerate(zip(level.boxes, self.codings, strict=True)):
                size = level.size_field(number)
                if size is None:
                    yield level, field, box_elements(coding)
                else:
                    yield level, field, box_elements(coding) // 2
                    yield level, size, box_elements(coding) // 2
