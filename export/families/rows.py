"""Heads that join all levels in one tensor: rows of box values and scores, one for each anchor of each cell.

YOLO detectors decode their boxes and join boxes, scores and levels in the graph. Here the tensor is taken
apart again: which inner tensors the box values and scores come from, level by level.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pocketdet.export.families.provenance import Ids, Origin, trace
from pocketdet.export.onnx_graph.cut import SELECTING
from pocketdet.export.onnx_graph.graph import read_names
from pocketdet.export.onnx_graph.summary import OnnxSummary
from pocketdet.spec.one_stage import Layout, OutputField, default_grid

STRIDES = ((8, 16, 32), (8, 16, 32, 64), (4, 8, 16, 32), (16, 32), (8, 16))


@dataclass(frozen=True)
class GridLevel:
    """One level of a head: its stride in pixels, its grid (height, width), the position of its first cell."""

    stride: int
    grid: tuple[int, int]
    first_cell: int

    @property
    def cells(self) -> int:
        """The number of cells."""
        return self.grid[0] * self.grid[1]


@dataclass(frozen=True)
class JoinedHead:
    """A tensor with one row for each anchor of each cell of all levels.

    Attributes:
        name: of the tensor.
        columns: whether it is (1, channels, rows) instead of (1, rows, channels).
        levels: finest first.
        anchors: per cell; the rows of a level have its anchors outermost.
        origin: where its elements come from.
    """

    name: str
    columns: bool
    levels: tuple[GridLevel, ...]
    anchors: int
    origin: Origin

    @property
    def channels(self) -> int:
        """The number of values in a row."""
        return int(self.ids.shape[1])

    @functools.cached_property
    def ids(self) -> Ids:
        """(rows, channels): the number of each element, see `Origin`."""
        ids = self.origin.ids[0]
        return np.ascontiguousarray(ids.T) if self.columns else ids

    @functools.cached_property
    def groups(self) -> tuple[tuple[int, int], ...]:
        """Channels [first, end) that have the same sources on every level, in order."""
        return self.origin.segments(self.ids[[level.first_cell * self.anchors for level in self.levels]])

    def fields(self, first: int, count: int) -> tuple[OutputField, ...] | None:
        """The inner fields of `count` channels, one for each level; None if one level has none."""
        found = [
            self.origin.field(
                self.ids[level.first_cell : level.first_cell + level.cells, first : first + count], level.grid
            )
            for level in self.levels
        ]
        fields = tuple(field for field in found if field is not None)
        return fields if len(fields) == len(self.levels) else None

    def own_fields(self, first: int) -> tuple[OutputField, ...]:
        """Fields of the joined tensor itself that start at channel `first`, one for each level."""
        layout: Layout = "columns" if self.columns else "rows"
        return tuple(
            OutputField(self.name, layout, first, first_row=level.first_cell) for level in self.levels
        )

    def sources(self, first: int, count: int) -> tuple[str, ...]:
        """The tensors that `count` channels of all rows come from."""
        return self.origin.source_of(self.ids[:, first : first + count])


def joined_head(model: OnnxSummary, name: str) -> JoinedHead | None:
    """Take a tensor apart; None if its rows are not the cells of some levels of YOLO's strides."""
    shape, size = model.shapes.get(name, ()), model.input_size
    if size is None or len(shape) != 3 or shape[0] != 1:
        return None
    lengths = [length for length in shape[1:] if isinstance(length, int)]
    if len(lengths) != 2 or min(lengths) <= 4:
        return None
    for columns, rows in ((True, lengths[1]), (False, lengths[0])):
        found = grid_levels(rows, size)
        if found is not None:
            return JoinedHead(name, columns, found[0], found[1], trace(model, name))
    return None


def grid_levels(rows: int, size: tuple[int, int]) -> tuple[tuple[GridLevel, ...], int] | None:
    """The levels that have so many rows together, and the anchors of each cell; None if no levels have."""
    for strides in STRIDES:
        levels = levels_of(strides, size)
        cells = sum(level.cells for level in levels)
        if rows % cells == 0 and rows // cells in (1, 3):
            return levels, rows // cells
    return None


def levels_of(strides: Sequence[int], size: tuple[int, int]) -> tuple[GridLevel, ...]:
    """The levels of these strides for an input of (height, width)."""
    levels: list[GridLevel] = []
    first = 0
    for stride in strides:
        levels.append(GridLevel(stride, default_grid(size, stride), first))
        first += levels[-1].cells
    return tuple(levels)


def selecting_operators(model: OnnxSummary, output: str) -> tuple[str, ...]:
    """The types of operators before an output that select detections: top-k or suppression."""
    return tuple(dict.fromkeys(n.op_type for n in model.nodes_before(output) if n.op_type in SELECTING))


def head_before_selection(model: OnnxSummary, output: str) -> JoinedHead | None:
    """The last joined tensor of boxes and scores before the operators that select detections."""
    nodes = model.nodes_before(output)
    selecting = [node for node in nodes if node.op_type in SELECTING]
    before = model.index.before([name for node in selecting for name in read_names(node)])
    for node in reversed(before):
        for name in node.output:
            head = joined_head(model, name)
            if head is not None and len(head.groups) > 1:
                return head
    return None


def find_joined_head(model: OnnxSummary) -> tuple[JoinedHead, tuple[str, ...]] | None:
    """Find the tensor that joins boxes and scores of all levels.

    Returns:
        The head and the types of operators behind it that select detections; None if there is no such tensor.
    """
    for output in model.outputs:
        selecting = selecting_operators(model, output.name)
        find = head_before_selection if selecting else joined_head
        head = find(model, output.name)
        if head is not None:
            return head, selecting
    return None


def raw_maps(
    model: OnnxSummary, sources: Sequence[str], levels: Sequence[GridLevel]
) -> tuple[str, ...] | None:
    """The nearest tensors (1, channels, h, w) before `sources`, one for each level.

    Args:
        model: the file.
        sources: tensors behind the maps; a source may be a map itself.
        levels: whose grids the maps have.

    Returns:
        Their names, or None unless there is exactly one for every level, all with as many channels.
    """
    grids = [level.grid for level in levels]
    found: dict[tuple[int, ...], str] = {}
    pending, seen = list(sources), set(sources)
    while pending:
        name = pending.pop()
        shape = model.shapes.get(name, ())
        grid = tuple(n for n in shape[2:] if isinstance(n, int)) if len(shape) == 4 else ()
        if grid in grids:
            if grid in found:
                return None
            found[grid] = name
            continue
        node = model.producer_of(name)
        for value in read_names(node) if node is not None else ():
            if value not in seen:
                seen.add(value)
                pending.append(value)
    if len(found) != len(grids) or len({model.shape_of(name)[1] for name in found.values()}) != 1:
        return None
    return tuple(found[grid] for grid in grids)


def rows_line(model: OnnxSummary, head: JoinedHead, content: str) -> str:
    """A line about the shape of a joined head."""
    strides = ", ".join(str(level.stride) for level in head.levels)
    each = "each cell" if head.anchors == 1 else f"each of {head.anchors} anchors of a cell"
    return f"{head.name!r} is {model.shape_of(head.name)}: {content} for {each}, strides {strides}"


def scores_line(fields: Sequence[OutputField]) -> str:
    """A line about the tensors of the scores."""
    return f"scores: {', '.join(dict.fromkeys(repr(field.output) for field in fields))}"


def dropped_lines(model: OnnxSummary, head: JoinedHead, selecting: Sequence[str], used: int) -> list[str]:
    """Lines about operators, channels and outputs behind or beside the boxes and scores."""
    lines = []
    if selecting:
        lines.append(f"cut before {' and '.join(selecting)}, which select detections in the file")
    if head.channels > used:
        lines.append(f"not used: channels {used} to {head.channels - 1}, such as masks or keypoints")
    others = [repr(output.name) for output in model.outputs if output.name != head.name]
    if others and not selecting:
        lines.append(f"not used: {'output' if len(others) == 1 else 'outputs'} {', '.join(others)}")
    return lines
