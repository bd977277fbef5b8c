"""Mobile detectors are recognised by their heads, and their descriptions decode as the rule of each family.

The heads are made here, at random sizes, with random numbers of classes, and with names that say nothing. The
decoders below are written from the published rules, in numpy.
"""

from pathlib import Path

import numpy as np
import pytest
from mobile_heads import (
    Array,
    HeadNet,
    Size,
    as_rows,
    cell_points,
    computed,
    expectation,
    from_centres,
    from_distances,
    grid_of,
)

from pocketdet.errors import UsageError
from pocketdet.export.families import FamilyOptions, Recognised, recognise
from pocketdet.export.families.probe import decodes_to
from pocketdet.export.onnx_graph.summary import summarise

SEEDS = pytest.mark.parametrize("seed", [1, 2])


def size_and_classes(seed: int) -> tuple[Size, int]:
    """A size that is no multiple of every stride, not square, and a number of classes."""
    rng = np.random.default_rng(seed)
    height, width = (int(n) for n in rng.integers(5, 12, 2) * 16)
    return (height, width), int(rng.integers(2, 30))


def found_in(path: Path, family: str, preset: str | None = None) -> Recognised:
    found = recognise(summarise(path), FamilyOptions(), preset)
    assert found.family.name == family, found.match.reasons
    return found


def check(found: Recognised, path: Path, size: Size, boxes: Array, scores: Array) -> None:
    """The description decodes the file's tensors to these boxes (n, 4) and scores (n, classes)."""
    spec = found.match.description.spec()
    values = computed(path, spec.outputs, (1, 3, *size))
    assert decodes_to(spec, values, boxes, scores)


def outputs_of(path: Path, size: Size, names: list[str]) -> list[Array]:
    values = computed(path, names, (1, 3, *size))
    return [values[name] for name in names]


@SEEDS
@pytest.mark.parametrize("strides", [(8, 16, 32), (8, 16, 32, 64)])
@pytest.mark.parametrize("hard_swish", [False, True])
def test_a_class_and_a_bin_tensor_for_each_stride(
    tmp_path: Path, seed: int, strides: tuple[int, ...], hard_swish: bool
) -> None:
    size, classes = size_and_classes(seed)
    net = HeadNet(size, seed)
    if hard_swish:  # PicoDet
        net.feature(strides[-1])
        net.graph.add("HardSigmoid", net.feature(strides[0]))
    names = []
    for stride in strides:
        names.append(net.output(net.rows(net.values(stride, classes, "Sigmoid"), classes)))
        names.append(net.output(net.rows(net.values(stride, 32), 32)))
    path = net.write(tmp_path, shuffled=True)
    if hard_swish and len(strides) == 3:
        with pytest.raises(
            UsageError, match=r"PicoDet has a class tensor and a box tensor for each of the strides"
        ):
            found_in(path, "picodet")
        return
    found = found_in(path, "picodet" if hard_swish else "nanodet")
    assert found.match.description.levels[0].stride == 8
    boxes, scores = [], []
    for number, stride in enumerate(strides):
        score, bins = outputs_of(path, size, names[2 * number : 2 * number + 2])
        points = cell_points(grid_of(size, stride), stride, 0.0) + 0.5 * (stride - 1)
        boxes.append(from_distances(points, expectation(bins) * stride))
        scores.append(score)
    check(found, path, size, np.concatenate(boxes), np.concatenate(scores))


@SEEDS
@pytest.mark.parametrize(("strides", "offset"), [((8, 16, 32), 0.5), ((8, 16, 32, 64), 0.0)])
def test_nanodet_in_one_tensor(tmp_path: Path, seed: int, strides: tuple[int, ...], offset: float) -> None:
    size, classes = size_and_classes(seed)
    net = HeadNet(size, seed)
    levels = []
    for stride in strides:
        joined = net.graph.add(
            "Concat", net.values(stride, classes, "Sigmoid"), net.values(stride, 32), axis=1
        )
        levels.append(net.graph.add("Reshape", joined, net.graph.ints(1, classes + 32, -1)))
    columns = net.graph.add("Concat", *levels, axis=2)
    name = net.output(net.graph.add("Transpose", columns, perm=[0, 2, 1]))
    path = net.write(tmp_path)
    found = found_in(path, "nanodet")
    rows = outputs_of(path, size, [name])[0]
    points = np.concatenate([cell_points(grid_of(size, s), s, offset) for s in strides])
    cells = [len(cell_points(grid_of(size, s), s, offset)) for s in strides]
    scale = np.repeat(np.array(strides, np.float32), cells)[:, None]
    check(
        found, path, size, from_distances(points, expectation(rows[:, classes:]) * scale), rows[:, :classes]
    )


@SEEDS
@pytest.mark.parametrize("form", ["maps", "sigmoid maps", "exponential maps", "rows"])
def test_rtmdet(tmp_path: Path, seed: int, form: str) -> None:
    size, classes = size_and_classes(seed)
    net = HeadNet(size, seed)
    names, levels = [], []
    for stride in (8, 16, 32):
        scores = net.values(stride, classes, "" if form == "maps" else "Sigmoid")
        sides = net.values(stride, 4, "Exp" if form.startswith("exp") else "")
        sides = net.scaled(sides, stride)
        if form == "rows":
            joined = net.graph.add("Concat", scores, sides, axis=1)
            levels.append(net.graph.add("Reshape", joined, net.graph.ints(1, classes + 4, -1)))
        else:
            names += [net.output(scores), net.output(sides)]
    if form == "rows":
        columns = net.graph.add("Concat", *levels, axis=2)
        names.append(net.output(net.graph.add("Transpose", columns, perm=[0, 2, 1])))
    path = net.write(tmp_path, shuffled=True)
    found = found_in(path, "rtmdet")
    values = outputs_of(path, size, names)
    if form == "rows":
        scores, distances = values[0][:, :classes], values[0][:, classes:]
    else:
        scores = np.concatenate([as_rows(value, classes) for value in values[::2]])
        distances = np.concatenate([as_rows(value, 4) for value in values[1::2]])
    if form == "maps":
        scores = 1 / (1 + np.exp(-scores))
    points = np.concatenate([cell_points(grid_of(size, stride), stride, 0.0) for stride in (8, 16, 32)])
    check(found, path, size, from_distances(points, distances), scores)


@SEEDS
def test_fastestdet(tmp_path: Path, seed: int) -> None:
    size, classes = size_and_classes(seed)
    net = HeadNet(size, seed)
    parts = [net.values(16, 1, "Sigmoid"), net.values(16, 4), net.values(16, classes, "Softmax")]
    name = net.output(net.graph.add("Concat", *parts, axis=1))
    path = net.write(tmp_path)
    found = found_in(path, "fastestdet")
    rows = as_rows(outputs_of(path, size, [name])[0], 5 + classes)
    centres = cell_points(grid_of(size, 16), 16, 0.0) + np.tanh(rows[:, 1:3]) * 16
    sizes = 1 / (1 + np.exp(-rows[:, 3:5])) * np.array(size[::-1], np.float32)
    check(found, path, size, from_centres(centres, sizes), rows[:, 5:] ** 0.4 * rows[:, :1] ** 0.6)


@SEEDS
@pytest.mark.parametrize("form", ["maps", "channels last", "rows"])
def test_yolo_fastestv2(tmp_path: Path, seed: int, form: str) -> None:
    size, classes = size_and_classes(seed)
    net = HeadNet(size, seed)
    values = []
    for stride in (16, 32):
        parts = [net.values(stride, 12, "Sigmoid"), net.values(stride, 3, "Sigmoid")]
        joined = net.graph.add("Concat", *parts, net.values(stride, classes, "Softmax"), axis=1)
        if form == "channels last":
            joined = net.graph.add("Transpose", joined, perm=[0, 2, 3, 1])
        values.append(net.rows(joined, 15 + classes) if form == "rows" else joined)
    values = [net.graph.add("Concat", *values, axis=1)] if form == "rows" else values
    names = [net.output(value) for value in values]
    path = net.write(tmp_path)
    found = found_in(path, "yolo-fastestv2")
    values = outputs_of(path, size, names)
    levels = [value if form == "rows" else flat(value, 15 + classes, form) for value in values]
    rows = np.repeat(np.concatenate(levels), 3, axis=0)
    anchor = np.tile(np.arange(3), len(rows) // 3)
    t = np.stack([rows[np.arange(len(rows)), 4 * anchor + k] for k in range(4)], axis=1)
    objectness = rows[np.arange(len(rows)), 12 + anchor]
    cells = [cell_points(grid_of(size, stride), stride, 0.0, 3) for stride in (16, 32)]
    scale = np.repeat(np.array([16, 32], np.float32), [len(c) for c in cells])[:, None]
    sides = np.concatenate(
        [
            np.tile([[12.64, 19.39], [37.88, 51.48], [55.71, 138.31]], (len(cells[0]) // 3, 1)),
            np.tile([[126.91, 78.23], [131.57, 214.55], [279.92, 258.87]], (len(cells[1]) // 3, 1)),
        ]
    ).astype(np.float32)
    centres = np.concatenate(cells) + (2 * t[:, :2] - 0.5) * scale
    boxes = from_centres(centres, (2 * t[:, 2:]) ** 2 * sides)
    check(found, path, size, boxes, rows[:, 15:] * objectness[:, None])


def flat(value: Array, channels: int, form: str) -> Array:
    """A map of one level as rows."""
    return value.reshape(-1, channels) if form == "channels last" else as_rows(value, channels)
