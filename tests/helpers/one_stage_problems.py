"""Random descriptions of one-stage outputs and their values: every coding, layout, activation and limit."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from pocketdet.spec.one_stage import (
    BoxCoding,
    CxcywhCoding,
    DistanceCoding,
    Level,
    OneStageSpec,
    OutputField,
    Scores,
    Selection,
    XyxyCoding,
)

UNITS = st.sampled_from(["prior", "stride", "input", "pixel"])
ORDERS = st.permutations(range(4)).map(tuple)
MULTIPLIERS = st.sampled_from([(1.0, 1.0, 1.0, 1.0), (0.1, 0.1, 0.2, 0.2)])
CODINGS = st.one_of(
    st.builds(
        CxcywhCoding,
        order=ORDERS,
        multiplier=MULTIPLIERS,
        origin=st.sampled_from(["prior", "image"]),
        centre_activation=st.sampled_from(["none", "tanh", "sigmoid"]),
        centre_gain=st.sampled_from([1.0, 2.0, 0.3]),
        centre_shift=st.sampled_from([0.0, -1.0]),
        centre_unit=UNITS,
        size_activation=st.sampled_from(["none", "exp", "sigmoid", "sigmoid_squared"]),
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
Layout = st.sampled_from(["map", "rows", "columns"])


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
    layouts = {kind: draw(Layout) for kind in counts}
    side = st.integers(1, most_cells)
    grids = draw(st.lists(st.tuples(side, side), min_size=1, max_size=2))
    each, interleaved = draw(st.integers(1, 2)), draw(st.booleans())
    first_row, offset = draw(st.integers(0, 2)), draw(st.sampled_from([0.0, 0.5]))
    levels, shapes = [], {}
    row = first_row
    for number, grid in enumerate(grids):
        slots = {}
        for kind, count in counts.items():
            name = f"{kind}_{number}" if layouts[kind] == "map" else kind
            if layouts[kind] == "map":
                step, element = (1, each) if interleaved else (count, 1)
                slots[kind] = OutputField(name, "map", first=1, prior_step=step, element_step=element)
                shapes[name] = (1 + each * count, *grid)
            else:
                slots[kind] = OutputField(name, layouts[kind], 1, element_step=1 + interleaved, first_row=row)
                channels, rows = 2 + count * (1 + interleaved), row + grid[0] * grid[1] * each
                shapes[name] = (rows, channels) if layouts[kind] == "rows" else (channels, rows)
        sizes = tuple((4.0 + 3 * a, 5.5 + 2 * a) for a in range(each))
        boxes = tuple(slots[f"boxes{i}"] for i in range(len(codings)))
        levels.append(Level(grid, 4 << number, sizes, slots["classes"], boxes, slots["objectness"], offset))
        row += grid[0] * grid[1] * each
    spec = OneStageSpec((12, 16), classes, tuple(levels), codings, scores, selection)
    seed = draw(st.integers(0, 2**32 - 1))
    return Problem(spec, filled(shapes, spec, seed))


def element_counts(codings: tuple[BoxCoding, ...], scores: Scores, classes: int) -> dict[str, int]:
    """Elements of a prior by kind of value."""
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
