"""Random descriptions of one-stage outputs and their values: every coding, layout, activation and limit."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import get_args

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from pocketdet.spec.one_stage import (
    BoxCoding,
    CxcywhCoding,
    DistanceCoding,
    Layout,
    Level,
    OneStageSpec,
    OutputField,
    Scores,
    Selection,
    XyxyCoding,
)

UNITS = st.sampled_from(["anchor", "stride", "input", "pixel"])
ORDERS = st.permutations(range(4)).map(tuple)
MULTIPLIERS = st.sampled_from([(1.0, 1.0, 1.0, 1.0), (0.1, 0.1, 0.2, 0.2)])
CODINGS = st.one_of(
    st.builds(
        CxcywhCoding,
        order=ORDERS,
        multiplier=MULTIPLIERS,
        origin=st.sampled_from(["anchor", "image"]),
        centre_activation=st.sampled_from(["none", "tanh", "sigmoid"]),
        centre_gain=st.sampled_from([1.0, 2.0, 0.3]),
        centre_shift=st.sampled_from([0.0, -1.0]),
        centre_unit=UNITS,
        size_activation=st.sampled_from(["none", "exp", "sigmoid", "sigmoid_squared", "square"]),
        size_unit=UNITS,
        max_log=st.sampled_from([0.5, 4.0]),
    ),
    st.builds(
        DistanceCoding,
        order=ORDERS,
        multiplier=MULTIPLIERS,
        activation=st.sampled_from(["none", "exp", "relu"]),
        unit=UNITS,
    ),
    st.builds(DistanceCoding, bins=st.integers(2, 5), order=ORDERS),
    st.builds(XyxyCoding, order=ORDERS, multiplier=MULTIPLIERS, unit=st.sampled_from(["input", "pixel"])),
)
ACTIVATIONS = st.sampled_from(["none", "sigmoid", "softmax"])
SCORES = st.builds(
    Scores,
    activation=ACTIVATIONS,
    background=st.sampled_from(["none", "first", "last"]),
    objectness_activation=ACTIVATIONS,
    class_power=st.sampled_from([1.0, 0.5, 0.0, 2.0, 0.03]),
    objectness_power=st.sampled_from([0.0, 1.0, 0.6]),
)
LIMIT = st.sampled_from([None, None, 20, 8])
SELECTIONS = st.builds(
    Selection,
    score_threshold=st.sampled_from([0.0, 1e-6, 0.1, 0.4, 0.5, 0.99]),
    best_class_only=st.booleans(),
    objectness_threshold=st.sampled_from([None, 0.3]),
    top_n_objectness=LIMIT,
    top_n_per_level=LIMIT,
    top_n=LIMIT,
    clip=st.booleans(),
    min_size=st.sampled_from([0.0, 3.0]),
    nms=st.sampled_from(["hard", "linear", "gaussian", "none"]),
    nms_iou=st.sampled_from([0.1, 0.5]),
    per_class=st.booleans(),
    max_detections=st.sampled_from([100, 5, 1]),
)
STRIDES = st.sampled_from([(4, 8), (3.75, (5.25, 8)), ((300 / 19, 12.5), 30.0)])


@dataclass
class Place:
    """Where a field of one level may lie."""

    name: str
    level: int
    grid: tuple[int, int]
    anchors: int
    first_row: int


Arranged = tuple[OutputField, tuple[int, ...]]
Arrangement = Callable[[Place, int], Arranged]


def as_map(interleaved: bool, place: Place, count: int) -> Arranged:
    """An output of its own for each level; the elements of an anchor follow each other or are interleaved."""
    name, each = f"{place.name}_{place.level}", place.anchors
    step, element = (1, each) if interleaved else (count, 1)
    field = OutputField(name, "map", 1, anchor_channels=step, element_step=element)
    return field, (1 + each * count, *place.grid)


def as_table(layout: Layout, order: str, place: Place, count: int) -> Arranged:
    """Rows of all levels in one output, with the anchors of a cell in each possible order."""
    cells, element_step = place.grid[0] * place.grid[1], 1 + (order == "spaced")
    channels = count * element_step
    cell_step, anchor_step, anchor_channels = {
        "inner": (None, 1, 0),
        "outer": (1, cells, 0),
        "spaced": (2 * place.anchors + 1, 2, 0),
        "channels": (None, 0, channels),
        "shared": (1, 0, 0),
    }[order]
    field = OutputField(
        place.name, layout, 1, anchor_channels, element_step, place.first_row, cell_step, anchor_step
    )
    width = 2 + channels * (place.anchors if order == "channels" else 1)
    rows = place.first_row + 3 * cells * place.anchors
    return field, (rows, width) if layout == "rows" else (width, rows)


ARRANGEMENTS: st.SearchStrategy[Arrangement] = st.one_of(
    st.booleans().map(lambda interleaved: partial(as_map, interleaved)),
    st.tuples(
        st.sampled_from(get_args(Layout)[1:]),
        st.sampled_from(["inner", "outer", "spaced", "channels", "shared"]),
    ).map(lambda drawn: partial(as_table, *drawn)),
)


@dataclass
class Problem:
    """A description, and its outputs by name."""

    spec: OneStageSpec
    outputs: Mapping[str, NDArray[np.float32]]


@st.composite
def problems(draw: st.DrawFn, most_cells: int = 4) -> Problem:
    """Each kind of value in a layout of its own, with ties, non-finite values and channels nothing reads."""
    codings = tuple(draw(st.lists(CODINGS, min_size=1, max_size=2)))
    scores, selection, classes = draw(SCORES), draw(SELECTIONS), draw(st.integers(1, 3))
    counts = element_counts(codings, scores, classes)
    arrangements = {kind: draw(ARRANGEMENTS) for kind in counts}
    split = {kind for kind in counts if kind.startswith("boxes") and draw(st.booleans())}
    side = st.integers(1, most_cells)
    grids = draw(st.lists(st.tuples(side, side), min_size=1, max_size=2))
    anchors = draw(st.sampled_from([((4.0, 5.5),), ((4.0, 5.5), (7.0, 7.5)), ((6.0, 6.0), (6.0, 6.0))]))
    strides, offset = draw(STRIDES), draw(st.sampled_from([0.0, 0.5]))
    levels: list[Level] = []
    shapes: dict[str, tuple[int, ...]] = {}
    first_row = draw(st.integers(0, 2))
    for number, (grid, stride) in enumerate(zip(grids, strides, strict=False)):
        fields: dict[str, OutputField] = {}
        for kind, count in counts.items():
            halves = [kind, f"sizes{kind}"] if kind in split else [kind]
            for name in halves:
                place = Place(name, number, grid, len(anchors), first_row)
                fields[name], shape = arrangements[kind](place, count // len(halves))
                known = shapes.get(fields[name].output, shape)
                shapes[fields[name].output] = tuple(map(max, shape, known))
        levels.append(
            Level(
                grid,
                stride,
                anchors,
                fields["classes"],
                tuple(fields[f"boxes{i}"] for i in range(len(codings))),
                fields["objectness"],
                offset,
                tuple(fields.get(f"sizesboxes{i}") for i in range(len(codings))) if split else (),
            )
        )
        first_row += 3 * grid[0] * grid[1] * len(anchors)
    spec = OneStageSpec((12, 16), classes, tuple(levels), codings, scores, selection)
    seed = draw(st.integers(0, 2**32 - 1))
    return Problem(spec, filled(shapes, spec, seed))


def element_counts(codings: tuple[BoxCoding, ...], scores: Scores, classes: int) -> dict[str, int]:
    """Elements of an anchor by kind of value."""
    counts = {"classes": classes + (scores.background != "none")}
    counts["objectness"] = 2 if scores.objectness_activation == "softmax" else 1
    for step, coding in enumerate(codings):
        counts[f"boxes{step}"] = 4 * (coding.bins if isinstance(coding, DistanceCoding) else 1)
    return counts


def filled(
    shapes: Mapping[str, tuple[int, ...]], spec: OneStageSpec, seed: int, broken: float = 0.02
) -> dict[str, NDArray[np.float32]]:
    """Outputs of the shapes, a share of `broken` values not finite; without an activation, not negative."""
    rng = np.random.default_rng(seed)
    outputs = {}
    for name, shape in shapes.items():
        values = rng.normal(0.4, 1.5, shape).astype(np.float32)
        if name.startswith(("classes", "objectness")):
            values = np.round(values * 2) / 2  # ties
            raw = spec.scores.activation if name.startswith("classes") else spec.scores.objectness_activation
            if raw == "none":
                values = np.abs(values) / 8
        values[rng.random(shape) < broken] = rng.choice([np.nan, np.inf, -np.inf])
        outputs[name] = values
    return outputs


def with_selection(spec: OneStageSpec, **changes: object) -> OneStageSpec:
    """The description with other values of its selection."""
    return replace(spec, selection=replace(spec.selection, **changes))  # type: ignore[arg-type]
