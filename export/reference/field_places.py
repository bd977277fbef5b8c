"""Where the fields of a description lie in the outputs, element by element."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pocketdet.runtime.output_fields import field_positions
from pocketdet.spec.one_stage import Level, OneStageSpec, OutputField, box_elements

Kind = Literal["classes", "objectness", "boxes", "sizes"]
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class FieldPlace:
    """The elements of one field of one level.

    Attributes:
        number: of the level.
        level: the level.
        kind: the kind of values.
        coding: for boxes and sizes, the number of the coding that reads them, else 0.
        field: the field.
        channels: (anchors, elements).
        rows: (cells, anchors); for a map (1, anchors), zeros.
        first_element: number of the coding's element that `channels` begin with; above 0 for sizes.
    """

    number: int
    level: Level
    kind: Kind
    coding: int
    field: OutputField
    channels: Indices
    rows: Indices
    first_element: int = 0

    @property
    def name(self) -> str:
        """The field's name in a description."""
        return f"levels.{self.number}.{self.kind}"

    @property
    def where(self) -> str:
        """Its channels and rows, for messages."""
        channels = f"channels {ranges(np.unique(self.channels))}"
        return (
            channels if self.field.layout == "map" else f"{channels} of rows {ranges(np.unique(self.rows))}"
        )

    def of(self, values: NDArray[Any]) -> NDArray[Any]:
        """The field's elements of its output (no batch axis): (cells, anchors, elements)."""
        if self.field.layout == "map":
            found: NDArray[Any] = values[self.channels]
            return found.reshape(*self.channels.shape, -1).transpose(2, 0, 1)
        table = values if self.field.layout == "rows" else values.T
        return np.asarray(table[self.rows[:, :, None], self.channels[None]])


def depends_on_grid(decode: OneStageSpec) -> bool:
    """Whether the first box coding starts from the cell or its anchors."""
    coding = decode.codings[0]
    if coding.encoding == "cxcywh":
        return coding.origin == "anchor"
    return coding.encoding == "distance"


def field_places(decode: OneStageSpec) -> Iterator[FieldPlace]:
    """All fields that are described, also an objectness that is not used."""
    for number, level in enumerate(decode.levels):
        yield _place(number, level, "classes", 0, level.classes, decode.class_elements)
        if level.objectness is not None:
            yield _place(number, level, "objectness", 0, level.objectness, decode.objectness_elements)
        for coding, field in enumerate(level.boxes):
            size, elements = level.size_field(coding), box_elements(decode.codings[coding])
            half = elements if size is None else elements // 2
            yield _place(number, level, "boxes", coding, field, half)
            if size is not None:
                yield replace(_place(number, level, "sizes", coding, size, half), first_element=half)


def _place(
    number: int, level: Level, kind: Kind, coding: int, field: OutputField, elements: int
) -> FieldPlace:
    rows, channels = field_positions(level, field, range(elements))
    return FieldPlace(number, level, kind, coding, field, channels, rows)


def grid_text(grid: Sequence[int]) -> str:
    """A grid (height, width) as text."""
    return f"{grid[0]}x{grid[1]}"


def ranges(numbers: NDArray[Any]) -> str:
    """Sorted numbers as text: "0 to 3, 7"."""
    values = [int(number) for number in numbers]
    starts = [values[0], *(b for a, b in pairwise(values) if b != a + 1)]
    ends = [*(a for a, b in pairwise(values) if b != a + 1), values[-1]]
    parts = [f"{a} to {b}" if b > a else str(a) for a, b in zip(starts, ends, strict=True)]
    return ", ".join(parts[:4]) + (", ..." if len(parts) > 4 else "")
