"""Checks of a description against the graph behind the outputs: order of rows, activations, decoded boxes.

A `FieldPlace` says where the fields of a description lie in the outputs, element by element.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pocketdet.errors import UsageError
from pocketdet.export.reference.output_origins import (
    EXP,
    GRID,
    SIGMOID,
    SOFTMAX,
    TANH,
    FeatureMap,
    Ints,
    Origins,
)
from pocketdet.runtime.output_fields import field_positions
from pocketdet.spec.one_stage import Activation, BoxCoding, Level, OneStageSpec, OutputField, box_elements

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


_ACTIVATIONS = {"sigmoid": SIGMOID, "sigmoid_squared": SIGMOID, "tanh": TANH, "exp": EXP, "softmax": SOFTMAX}


def check_origins(
    decode: OneStageSpec,
    places: Sequence[FieldPlace],
    origins: Mapping[str, Origins],
    maps: Sequence[FeatureMap],
) -> Iterator[str]:
    """Compare fields with the feature maps that their elements come from.

    Args:
        decode: the description.
        places: its fields.
        origins: of the outputs that can be traced.
        maps: the feature maps that `origins` refer to.

    Returns:
        A sentence for each field that is unlikely.

    Raises:
        UsageError: if a field contradicts the graph.
    """
    grids = np.array([one.grid for one in maps] + [(-1, -1)])
    for place in places:
        found = origins.get(place.field.output)
        if found is None:
            continue
        if depends_on_grid(decode):
            _check_cells(place, found, maps, grids)
        if place.kind in ("boxes", "sizes"):
            yield from _check_boxes(place, found, decode)
        elif place.kind == "classes":
            _check_activation(place, found, decode.scores.activation, "scores.activation")
            sources = [p.of(origins[p.field.output].source) for p in places if p.field.output in origins]
            yield from _check_class_map(place, found, maps, sources)
        elif decode.uses_objectness:
            name = "scores.objectness_activation"
            _check_activation(place, found, decode.scores.objectness_activation, name)


def _check_cells(
    place: FieldPlace, found: Origins, maps: Sequence[FeatureMap], grids: NDArray[np.int64]
) -> None:
    """Each anchor of cell (y, x) comes from (y, x) of a map of the level's grid."""
    source, cell = place.of(found.source), place.of(found.cell)
    known = (source >= 0) & (cell >= 0)
    same_grid = (grids[source] == place.level.grid).all(-1)
    expected = np.arange(len(cell))[:, None, None]
    if (~known | same_grid & (cell == expected)).all():
        return
    name, output = place.name, place.field.output
    if not (~known | same_grid).all():
        described = f"a grid of {grid_text(place.level.grid)}"
        raise UsageError(
            f"{name} has {described}, and output {output!r} has there {_maps_of(found, maps, place)}: give "
            "the levels in the order of the rows, with their strides"
        )
    raise UsageError(
        f"{name}: output {output!r} has its cells in another order; {_order_advice(place, found)}"
    )


def _order_advice(place: FieldPlace, found: Origins) -> str:
    """How the rows of a level lie in the file."""
    height, width = place.level.grid
    anchors = len(place.channels)
    cells = np.arange(height * width)
    columns = cells.reshape(height, width).T.ravel()
    if place.field.layout != "map":
        table = found.cell if place.field.layout == "rows" else found.cell.T
        rows = table[place.rows.min() : place.rows.max() + 1, place.channels[0, 0]]
        if np.array_equal(rows, np.tile(cells, anchors)):
            steps = f"cell_step = 1, anchor_step = {height * width}"
            return f"all cells of the first anchor come first: give {steps}"
        if np.array_equal(rows, np.repeat(cells, anchors)):
            return "the anchors of a cell follow each other: leave out cell_step and anchor_step"
    if np.array_equal(place.of(found.cell)[:, 0, 0], columns):
        return "they lie column by column: transpose the map back before the file flattens it"
    return f"check the number of anchors ({anchors}), cell_step and anchor_step"


def _maps_of(found: Origins, maps: Sequence[FeatureMap], place: FieldPlace) -> str:
    """The grids that an output is made of, in the order of its rows."""
    if place.field.layout == "map":
        return "another map"
    table = found.source if place.field.layout == "rows" else found.source.T
    sources = table[:, place.channels[0, 0]]
    runs: list[str] = []
    row = 0
    for grid, group in groupby(int(s) for s in sources):
        count = len(list(group))
        kind = (
            f"a map of {grid_text(maps[grid].grid)} ({maps[grid].name!r})" if grid >= 0 else "another tensor"
        )
        runs.append(f"rows {row} to {row + count - 1} from {kind}")
        row += count
    return ", ".join(runs[:6]) + (", ..." if len(runs) > 6 else "")


def _check_activation(place: FieldPlace, found: Origins, described: Activation, setting: str) -> None:
    """An activation is applied once: in the graph or by the description."""
    known = place.of(found.source) >= 0
    if not known.all():
        return
    operators = place.of(found.operators)
    active = (operators & (SIGMOID | SOFTMAX)) > 0
    by_element = active.all((0, 1))
    if by_element.any() and not by_element.all():
        first, last = place.channels[0, by_element].min(), place.channels[0, by_element].max()
        raise UsageError(
            f"{place.name}: of its channels of output {place.field.output!r} only {first} to {last} pass "
            "through a sigmoid or softmax in the graph: check the first channel and the number of class names"
        )
    if described != "none" and active.any():
        kind = "Softmax" if (operators & SOFTMAX).any() else "Sigmoid"
        raise UsageError(
            f"{setting} is {described!r}, and the graph already applies {kind} to {place.name} (output "
            f'{place.field.output!r}): give {setting} = "none"'
        )


def _check_class_map(
    place: FieldPlace, found: Origins, maps: Sequence[FeatureMap], sources: Sequence[Ints]
) -> Iterator[str]:
    """All channels of a convolution that gives nothing but class values are read."""
    source, channel = place.of(found.source), place.of(found.channel)
    index = int(source[0, 0, 0])
    if (source < 0).any() or (channel < 0).any():
        return
    mixed = (source != source[..., :1]).any(-1)
    if mixed.any():
        names = ", ".join(repr(maps[number].name) for number in np.unique(source[mixed])[:4])
        yield f"{place.name}: the values of one anchor come from several layers ({names})"
    if (source != index).any():
        return
    if sum((other == index).any() for other in sources) > 1:
        return
    read = len(np.unique(channel))
    if read < maps[index].channels:
        anchors = len(place.channels)
        raise UsageError(
            f"{place.name} reads {read} of the {maps[index].channels} channels of {maps[index].name!r}, "
            f"which gives only class values: {maps[index].channels / anchors:g} per anchor against "
            f"{place.channels.shape[1]} described; give a name for each class, or scores.background"
        )


def _check_boxes(place: FieldPlace, found: Origins, decode: OneStageSpec) -> Iterator[str]:
    """Boxes are decoded once: in the graph or by the description."""
    operators, known = place.of(found.operators), place.of(found.source) >= 0
    if not known.all() or place.coding > 0:
        return
    coding = decode.codings[0]
    has_grid = bool((operators & GRID).any())
    if has_grid and depends_on_grid(decode):
        raise UsageError(
            f"{place.name}: the graph adds the position of the cells to output {place.field.output!r}, so "
            'its boxes are decoded: describe them with encoding "xyxy", or "cxcywh" with origin = "image"'
        )
    if not has_grid and not depends_on_grid(decode) and place.kind == "boxes":
        yield (
            f"{place.name}: output {place.field.output!r} is read as positions in the image, and the graph "
            'adds no position of a cell to it: values relative to a cell have origin = "anchor"'
        )
    for setting, name, elements in _box_activations(coding):
        own = [e - place.first_element for e in elements]
        applied = operators[..., [e for e in own if 0 <= e < operators.shape[-1]]]
        if (applied & _ACTIVATIONS.get(name, 0)).any():
            raise UsageError(
                f"codings.0.{setting} is {name!r}, and the graph already applies it to {place.name} (output "
                f'{place.field.output!r}): give "none"'
            )
        if name == "square" and applied.size and not (applied & SIGMOID).any():
            yield (
                f'codings.0.{setting} is "square", and the graph applies no sigmoid to {place.name}: raw '
                'values have "sigmoid_squared"'
            )


def _box_activations(coding: BoxCoding) -> list[tuple[str, str, list[int]]]:
    """The settings of a coding that name an activation, with the elements that they apply to."""
    if coding.encoding == "cxcywh":
        return [
            ("centre_activation", coding.centre_activation, list(coding.order[:2])),
            ("size_activation", coding.size_activation, list(coding.order[2:])),
        ]
    if coding.encoding == "distance":
        if coding.bins > 1:
            return [("bins", "softmax", list(range(4 * coding.bins)))]
        return [("activation", coding.activation, list(range(4)))]
    return []
