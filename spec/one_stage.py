"""A one-stage detector's outputs, described by data. Definition: docs/ONE_STAGE.md.

The same record drives the torch reference (`models/ops/one_stage_decode.py`), the C++ core and a bundle's
manifest, for our detectors and for anybody's; hence a leaf that every room may import. A value out of range
raises `UsageError`.
"""

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
SizeActivation = Literal["none", "exp", "sigmoid", "sigmoid_squared"]
DistanceActivation = Literal["none", "exp", "relu"]
Unit = Literal["prior", "stride", "input", "pixel"]
Origin = Literal["prior", "image"]
Suppression = Literal["none", "hard", "linear", "gaussian"]

MAX_LOG_SCALE = 4.135166556742356  # log(1000 / 16)
_MANY, _LARGE = 100_000_000, 1e6


@dataclass(frozen=True)
class OutputField(ValidatedConfig):
    """Where a kind of value lies: element `k` of prior `a` of a cell of one level.

    Attributes:
        output: name of the tensor, without its batch dimension.
        layout: "map" (channels, h, w), "rows" (priors, channels) or "columns" (channels, priors).
        first, prior_step, element_step: the channel is `first + a * prior_step + k * element_step`.
        first_row: the level's first prior in "rows" and "columns", which hold prior `a` of cell `c` at
            `first_row + c * A + a`; there `prior_step` is 0.
    """

    output: str
    layout: Layout = "map"
    first: int = 0
    prior_step: int = 0
    element_step: int = 1
    first_row: int = 0

    def __post_init__(self) -> None:
        self._one_of("layout", get_args(Layout))
        self._within(0, _MANY, "first", "prior_step", "first_row")
        self._within(1, _MANY, "element_step")
        unused = self.first_row if self.layout == "map" else self.prior_step
        if unused:
            raise UsageError(
                f"OutputField of {self.output!r}: a {self.layout!r} layout has no such step ({unused})"
            )


@dataclass(frozen=True)
class Level(ValidatedConfig):
    """A grid (height, width) of cells, the sizes (width, height) of their priors in pixels, and its values.

    The centre of cell (y, x) is `((x + offset) * stride, (y + offset) * stride)`. A detector without anchors
    has one prior, as large as its cell. `boxes` has one slot for each of the description's codings.
    """

    grid: tuple[int, int]
    stride: int
    priors: tuple[tuple[float, float], ...]
    classes: OutputField
    boxes: tuple[OutputField, ...]
    objectness: OutputField | None = None
    offset: float = 0.5

    def __post_init__(self) -> None:
        self._within(1, 4096 * 4096, "grid")
        self._within(1, 4096, "stride")
        self._counts(64, "priors")
        self._within(0, 1, "offset")
        for size in self.priors:
            if not all(0 < side <= _LARGE for side in size):
                raise UsageError(f"prior size {size}: expected two sides above 0 and up to {_LARGE:g} pixels")

    @property
    def count(self) -> int:
        """Priors of this level."""
        return self.grid[0] * self.grid[1] * len(self.priors)

    def shape_error(self, slot: OutputField, elements: int, shape: Sequence[int | None]) -> str:
        """Why a tensor of this shape does not hold so many elements of each prior; empty where it does."""
        last = slot.first + (len(self.priors) - 1) * slot.prior_step + (elements - 1) * slot.element_step
        rows = slot.first_row + self.count
        wanted = {"map": (last + 1, *self.grid), "rows": (rows, last + 1), "columns": (last + 1, rows)}
        least = wanted[slot.layout]
        exact = self.grid if slot.layout == "map" else ()
        fits = len(shape) == len(least) and all(
            length is not None and length >= low for length, low in zip(shape, least, strict=True)
        )
        if fits and tuple(shape[1:] if exact else ()) == exact:
            return ""
        return f"output {slot.output!r} is {tuple(shape)}: its slot needs {least} ({slot.layout})"


class _Coding(ValidatedConfig):
    order: tuple[int, int, int, int]
    multiplier: Four

    def _check_order(self) -> None:
        if sorted(self.order) != [0, 1, 2, 3]:
            raise UsageError(f"{type(self).__name__}.order is {self.order}: expected a permutation of 0 to 3")
        self._within(-_LARGE, _LARGE, "multiplier")


@dataclass(frozen=True)
class CentreCoding(_Coding):
    """Centre and size: x, y, width, height are elements `order[0]` to `order[3]`, times `multiplier`."""

    form: Literal["centre"] = "centre"
    order: tuple[int, int, int, int] = (0, 1, 2, 3)
    multiplier: Four = (1.0, 1.0, 1.0, 1.0)
    origin: Origin = "prior"
    centre_activation: CentreActivation = "none"
    centre_gain: float = 1.0
    centre_shift: float = 0.0
    centre_unit: Unit = "prior"
    size_activation: SizeActivation = "exp"
    size_unit: Unit = "prior"
    max_log: float = MAX_LOG_SCALE

    def __post_init__(self) -> None:
        self._check_order()
        self._one_of("form", ("centre",))
        self._one_of("origin", get_args(Origin))
        self._one_of("centre_activation", get_args(CentreActivation))
        self._one_of("size_activation", get_args(SizeActivation))
        for name in ("centre_unit", "size_unit"):
            self._one_of(name, get_args(Unit))
        self._within(-_LARGE, _LARGE, "centre_gain", "centre_shift")
        self._within(0, 80, "max_log")


@dataclass(frozen=True)
class DistanceCoding(_Coding):
    """Distances from the prior's centre to the left, top, right and bottom side.

    `bins` above 1: each a distribution over 0 to bins - 1 (generalised focal loss), side `k` in elements
    `k * bins` and on.
    """

    form: Literal["distance"] = "distance"
    order: tuple[int, int, int, int] = (0, 1, 2, 3)
    multiplier: Four = (1.0, 1.0, 1.0, 1.0)
    activation: DistanceActivation = "none"
    unit: Unit = "stride"
    bins: int = 1
    max_log: float = MAX_LOG_SCALE

    def __post_init__(self) -> None:
        self._check_order()
        self._one_of("form", ("distance",))
        self._one_of("activation", get_args(DistanceActivation))
        self._one_of("unit", get_args(Unit))
        self._within(1, 256, "bins")
        self._within(0, 80, "max_log")
        if self.bins > 1 and self.activation != "none":
            raise UsageError(f"DistanceCoding.activation is {self.activation!r}: a distribution has none")


@dataclass(frozen=True)
class CornerCoding(_Coding):
    """x1, y1, x2, y2 as they are, times `multiplier` and the unit ("pixel", or "input": 0 to 1)."""

    form: Literal["corner"] = "corner"
    order: tuple[int, int, int, int] = (0, 1, 2, 3)
    multiplier: Four = (1.0, 1.0, 1.0, 1.0)
    unit: Literal["input", "pixel"] = "pixel"

    def __post_init__(self) -> None:
        self._check_order()
        self._one_of("form", ("corner",))
        self._one_of("unit", ("input", "pixel"))


BoxCoding = Annotated[CentreCoding | DistanceCoding | CornerCoding, Field(discriminator="form")]


def box_elements(coding: BoxCoding) -> int:
    """Values of a prior's slot for this coding."""
    return 4 * coding.bins if isinstance(coding, DistanceCoding) else 4


@dataclass(frozen=True)
class Scores(ValidatedConfig):
    """From raw values to a score: class probability ^ class_power * objectness ^ objectness_power.

    `background` is an element of the classes that is no class. An objectness with "softmax" has two elements,
    background first. A power of 0 leaves its factor out.
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
    """Which candidates become detections; `None`: no such limit.

    `best_class_only`: a prior is a candidate for its likeliest class alone. `per_class`: boxes suppress those
    of their own class only.
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
    """Everything between a network's outputs and its detections, for an input (height, width)."""

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
                raise UsageError(f"a level has {len(level.boxes)} box slots for {len(self.codings)} codings")
            if self.uses_objectness and level.objectness is None:
                raise UsageError("objectness is used, but a level has no slot for it")
        if self.count * self.num_classes >= 2**31:
            raise UsageError(f"{self.count} priors of {self.num_classes} classes: expected under 2^31 in all")

    @property
    def uses_objectness(self) -> bool:
        """Whether objectness is in the score or limits the priors; else its slots are not read."""
        rule = self.selection
        limited = rule.objectness_threshold is not None or rule.top_n_objectness is not None
        return limited or self.scores.objectness_power > 0

    @property
    def count(self) -> int:
        """Priors of all levels."""
        return sum(level.count for level in self.levels)

    @property
    def outputs(self) -> tuple[str, ...]:
        """The outputs that slots name, in the order in which they first do."""
        named = [s for level in self.levels for s in (level.classes, level.objectness, *level.boxes)]
        return tuple(dict.fromkeys(slot.output for slot in named if slot is not None))

    @property
    def class_elements(self) -> int:
        """Values of a prior's classes slot, the background among them."""
        return self.num_classes + (self.scores.background != "none")

    @property
    def objectness_elements(self) -> int:
        """Values of a prior's objectness slot."""
        return 2 if self.scores.objectness_activation == "softmax" else 1

    def fields_read(self) -> Iterator[tuple[Level, OutputField, int]]:
        """Every slot that the decode reads, with its level and the elements of each prior."""
        for level in self.levels:
            yield level, level.classes, self.class_elements
            if self.uses_objectness and level.objectness is not None:
                yield level, level.objectness, self.objectness_elements
            for slot, coding in zip(level.boxes, self.codings, strict=True):
                yield level, slot, box_elements(coding)
