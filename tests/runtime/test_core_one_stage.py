"""The core's one-stage decode equals the torch reference. Definition: docs/reference/one-stage.md."""

import threading
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from numpy.typing import NDArray
from one_stage_problems import Problem, filled, problems

from pocketdet.errors import UsageError
from pocketdet.models.ops.one_stage_decode import one_stage_decode
from pocketdet.runtime import _core
from pocketdet.spec.one_stage import (
    CxcywhCoding,
    DistanceCoding,
    Level,
    OneStageSpec,
    OutputField,
    Scores,
    Selection,
    XyxyCoding,
)


def assert_equal(problem: Problem) -> int:
    """Same detections in the same order; returns how many."""
    tensors = {name: torch.from_numpy(values) for name, values in problem.outputs.items()}
    wanted = one_stage_decode(problem.spec, tensors)
    boxes, scores, labels, anchors = _core.OneStageDecoder(problem.spec).decode(dict(problem.outputs))
    assert anchors.tolist() == wanted.anchors.tolist()
    assert labels.tolist() == wanted.labels.tolist()
    np.testing.assert_allclose(scores, wanted.scores.numpy(), rtol=3e-7)
    np.testing.assert_allclose(boxes, wanted.boxes.numpy(), rtol=1e-6, atol=1e-5)
    return len(scores)


def maps(
    classes: int, grids: list[int], each: int, background: bool = False, boxes: int = 4
) -> tuple[tuple[Level, ...], dict[str, tuple[int, ...]]]:
    """Levels of maps with `each` anchors a cell, and the shapes of their outputs."""
    per_class = classes + background
    levels, shapes = [], {}
    for i, side in enumerate(grids):
        shapes |= {f"classes{i}": (each * per_class, side, side), f"boxes{i}": (each * boxes, side, side)}
        sizes = tuple((24.0 * (1 + a), 20.0 * (1 + a)) for a in range(each))
        slots = (
            OutputField(f"classes{i}", anchor_channels=per_class),
            (OutputField(f"boxes{i}", anchor_channels=boxes),),
        )
        levels.append(Level((side, side), 8 << i, sizes, *slots))
    return tuple(levels), shapes


def retinanet() -> tuple[OneStageSpec, dict[str, tuple[int, ...]]]:
    levels, shapes = maps(20, [24, 12, 6], 9)
    selection = Selection(score_threshold=0.6, top_n_per_level=300)
    return OneStageSpec((192, 192), 20, levels, (CxcywhCoding(),), selection=selection), shapes


def passd() -> tuple[OneStageSpec, dict[str, tuple[int, ...]]]:
    levels, shapes = maps(20, [24, 12, 6], 3, background=True)
    scores = Scores("softmax", "first")
    selection = Selection(score_threshold=0.1, nms="gaussian")
    return OneStageSpec((192, 192), 20, levels, (CxcywhCoding(),), scores, selection), shapes


def yolov5() -> tuple[OneStageSpec, dict[str, tuple[int, ...]]]:
    levels = []
    shapes: dict[str, tuple[int, ...]] = {}
    for i, side in enumerate((24, 12)):
        name = f"classes{i}"
        shapes[name] = (3 * 9, side, side)
        slots = (
            OutputField(name, first=5, anchor_channels=9),
            (OutputField(name, anchor_channels=9),),
            OutputField(name, first=4, anchor_channels=9),
        )
        levels.append(Level((side, side), 8 << i, ((10.0, 13.0), (30.0, 61.0), (59.0, 119.0)), *slots))
    coding = CxcywhCoding(
        centre_activation="sigmoid",
        centre_gain=2.0,
        centre_shift=-1.0,
        centre_unit="stride",
        size_activation="sigmoid_squared",
    )
    scores = Scores(class_power=1.0, objectness_power=1.0)
    return OneStageSpec((192, 192), 4, tuple(levels), (coding,), scores, Selection(0.5)), shapes


def nanodet() -> tuple[OneStageSpec, dict[str, tuple[int, ...]]]:
    levels, row = [], 0
    for side, stride in ((24, 8), (12, 16)):
        slots = (
            OutputField("classes", "rows", first_row=row),
            (OutputField("classes", "rows", 5, first_row=row),),
        )
        levels.append(Level((side, side), stride, ((stride, stride),), *slots, offset=0.0))
        row += side * side
    spec = OneStageSpec((192, 192), 5, tuple(levels), (DistanceCoding(bins=8),), selection=Selection(0.7))
    return spec, {"classes": (row, 5 + 32)}


def corners() -> tuple[OneStageSpec, dict[str, tuple[int, ...]]]:
    slots = OutputField("classes", "columns", first=4), (OutputField("boxes", "columns"),)
    level = Level((1, 900), 1, ((1.0, 1.0),), *slots)
    coding = XyxyCoding(unit="input")
    spec = OneStageSpec((192, 192), 7, (level,), (coding,), Scores("none"), Selection(0.3, nms="none"))
    return spec, {"classes": (11, 900), "boxes": (4, 1000)}


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("described", [retinanet, passd, yolov5, nanodet, corners])
def test_equals_the_reference_on_whole_detectors(
    described: Callable[[], tuple[OneStageSpec, dict[str, tuple[int, ...]]]], seed: int
) -> None:
    spec, shapes = described()
    assert assert_equal(Problem(spec, filled(shapes, spec, seed, broken=1e-4))) > 20


@settings(max_examples=400, deadline=None)
@given(problems())
def test_equals_the_reference(problem: Problem) -> None:
    assert_equal(problem)


@settings(max_examples=25, deadline=None)
@given(problems(most_cells=40))
def test_equals_the_reference_on_larger_grids(problem: Problem) -> None:
    assert_equal(problem)


def one_level(**fields: Any) -> OneStageSpec:
    level = Level((5, 6), 16, ((16.0, 16.0),), OutputField("c"), (OutputField("b"),), OutputField("o"))
    return OneStageSpec((80, 96), 2, (level,), (CxcywhCoding(),), **fields)


def outputs_of(spec: OneStageSpec, seed: int = 0) -> dict[str, NDArray[np.float32]]:
    shapes = {"c": (spec.num_classes, 5, 6), "b": (4, 5, 6), "o": (1, 5, 6)}
    return filled(shapes, spec, seed, broken=0.0)


@pytest.mark.parametrize("threshold", [1e-38, 1e-30, 1e-20, 1e-9, 1e-3, 0.25, 0.5, 0.731, 1 - 1e-7, 1.0])
@pytest.mark.parametrize("power", [0.01, 0.0625, 0.4, 1.0, 3.0, 8.0])
@pytest.mark.parametrize("activation", ["none", "sigmoid"])
def test_scores_at_the_threshold(threshold: float, power: float, activation: str) -> None:
    """Values one float apart, around the one whose score is the threshold: no bound loses one."""
    scores = Scores(activation=activation, class_power=power)  # type: ignore[arg-type]
    spec = one_level(scores=scores, selection=Selection(threshold, nms="none", clip=False))
    value = float(np.float32(threshold)) ** (1 / power)
    if activation == "sigmoid":
        value = float(np.log(value) - np.log1p(-value)) if 0 < value < 1 else (-104.0 if value <= 0 else 17.0)
    around = np.full(60, np.float32(value), np.float32).view(np.int32) + np.arange(-30, 30, dtype=np.int32)
    outputs = outputs_of(spec) | {"c": around.view(np.float32).reshape(2, 5, 6)}
    assert_equal(Problem(spec, outputs))


def test_planes_and_rows_may_have_strides() -> None:
    spec = one_level()
    outputs = outputs_of(spec)
    expected = _core.OneStageDecoder(spec).decode(outputs)
    padded = {name: np.zeros((len(v), 6, 6), np.float32)[:, :5] for name, v in outputs.items()}
    for name, values in outputs.items():
        padded[name][:] = values
    for a, b in zip(expected, _core.OneStageDecoder(spec).decode(padded), strict=True):
        np.testing.assert_array_equal(a, b)
    assert len(expected[0]) > 10


def test_a_nan_score_is_not_a_candidate() -> None:
    """The root of a negative value is none; the other class of its anchor stays."""
    slots = OutputField("c"), (OutputField("b"),)
    level = Level((1, 2), 8, ((8.0, 8.0),), *slots)
    rule = Selection(0.1, best_class_only=True)
    spec = OneStageSpec((8, 16), 2, (level,), (CxcywhCoding(),), Scores("none", class_power=0.5), rule)
    classes = np.array([[[-0.5, 0.2]], [[0.4, -0.1]]], np.float32)
    found = assert_equal(Problem(spec, {"c": classes, "b": np.zeros((4, 1, 2), np.float32)}))
    assert found == 2


def test_threads_may_share_a_decoder() -> None:
    spec, shapes = retinanet()
    decoder = _core.OneStageDecoder(spec)
    inputs = [filled(shapes, spec, seed, broken=0.0) for seed in range(4)]
    expected = [decoder.decode(outputs) for outputs in inputs]
    wrong: list[int] = []

    def work(first: int) -> None:
        for i in range(12):
            at = (first + i) % len(inputs)
            same = zip(decoder.decode(inputs[at]), expected[at], strict=True)
            if not all(np.array_equal(a, b) for a, b in same):
                wrong.append(at)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        ({"c": (2, 5, 6)}, "no output 'b': expected one of shape (4, 5, 6)"),
        ({"c": (1, 5, 6), "b": (4, 5, 6)}, "output 'c' is (1, 5, 6): its field needs (2, 5, 6) (map)"),
        ({"c": (2, 5, 7), "b": (4, 5, 6)}, "output 'c' is (2, 5, 7)"),
        ({"c": (2, 30), "b": (4, 5, 6)}, "output 'c' is (2, 30)"),
        ({"c": (30,), "b": (4, 5, 6)}, "outputs['c']: expected a float32 array of shape"),
        ({"c": (1, 2, 5, 6), "b": (4, 5, 6)}, "outputs['c']: expected a float32 array of shape"),
    ],
)
def test_outputs_of_a_wrong_shape_are_rejected(outputs: dict[str, tuple[int, ...]], message: str) -> None:
    decoder = _core.OneStageDecoder(one_level())
    with pytest.raises(ValueError) as error:
        decoder.decode({name: np.zeros(shape, np.float32) for name, shape in outputs.items()})
    assert message in str(error.value)


@pytest.mark.parametrize(
    "bad",
    [
        np.zeros((2, 5, 6)),
        np.zeros((2, 5, 6), np.int32),
        np.zeros((2, 6, 5), np.float32).transpose(0, 2, 1),
        np.zeros((2, 5, 12), np.float32)[:, :, ::2],
        torch.zeros(2, 5, 6).double(),
        [[1.0]],
        None,
        SimpleNamespace(ndim="x"),
    ],
)
def test_outputs_of_a_wrong_type_are_rejected(bad: Any) -> None:
    with pytest.raises(ValueError, match=r"outputs\['c'\]: expected"):
        _core.OneStageDecoder(one_level()).decode({"c": bad, "b": np.zeros((4, 5, 6), np.float32)})


def bare(spec: Any) -> Any:
    """The description without the checks of its records."""
    if isinstance(spec, tuple):
        return tuple(bare(x) for x in spec)
    fields = getattr(spec, "__dataclass_fields__", None)
    return spec if fields is None else SimpleNamespace(**{name: bare(getattr(spec, name)) for name in fields})


HOSTILE: list[Callable[[Any], None]] = [
    lambda s: setattr(s, "input_size", (0, 96)),
    lambda s: setattr(s, "input_size", (80,)),
    lambda s: setattr(s, "num_classes", -1),
    lambda s: setattr(s, "num_classes", 2**40),
    lambda s: setattr(s, "num_classes", "2"),
    lambda s: setattr(s, "levels", ()),
    lambda s: setattr(s, "levels", s.levels * 17),
    lambda s: setattr(s, "codings", s.codings * 2),
    lambda s: setattr(s, "codings", (SimpleNamespace(encoding="polar"),)),
    lambda s: setattr(s.codings[0], "order", (0, 1, 2, 9)),
    lambda s: setattr(s.codings[0], "order", (-1, 1, 2, 3)),
    lambda s: setattr(s.codings[0], "multiplier", (1.0, 1.0, 1.0, float("nan"))),
    lambda s: setattr(s.codings[0], "max_log", 1e9),
    lambda s: setattr(s.levels[0], "grid", (2**30, 2**30)),
    lambda s: setattr(s.levels[0], "grid", (4096 * 4096, 4096 * 4096)),
    lambda s: setattr(s.levels[0], "stride", 0),
    lambda s: setattr(s.levels[0], "anchors", ()),
    lambda s: setattr(s.levels[0], "anchors", ((float("inf"), 1.0),)),
    lambda s: setattr(s.levels[0], "boxes", ()),
    lambda s: setattr(s.levels[0].classes, "first", -4),
    lambda s: setattr(s.levels[0].classes, "element_step", 0),
    lambda s: setattr(s.levels[0].classes, "first_row", 1),
    lambda s: setattr(s.levels[0].classes, "cell_step", 1),
    lambda s: setattr(s.levels[0].classes, "cell_step", 0),
    lambda s: setattr(s.levels[0].classes, "cell_step", "1"),
    lambda s: setattr(s.levels[0].classes, "anchor_step", -1),
    lambda s: setattr(s.levels[0].classes, "anchor_channels", 2**31),
    lambda s: setattr(s.levels[0], "stride", (8.0,)),
    lambda s: setattr(s.levels[0], "stride", (8.0, 0.5)),
    lambda s: setattr(s.levels[0], "stride", float("nan")),
    lambda s: setattr(s.levels[0], "sizes", (None, None)),
    lambda s: setattr(s.levels[0], "sizes", (1,)),
    lambda s: setattr(s.levels[0], "sizes", None),
    lambda s: setattr(s.levels[0].classes, "layout", "cube"),
    lambda s: setattr(s.scores, "class_power", -1.0),
    lambda s: setattr(s.scores, "objectness_power", float("nan")),
    lambda s: setattr(s.selection, "max_detections", 0),
    lambda s: setattr(s.selection, "top_n", -1),
    lambda s: setattr(s.selection, "sigma", 0.0),
    lambda s: setattr(s.selection, "nms", "fast"),
    lambda s: delattr(s, "scores"),
]


@pytest.mark.parametrize("change", HOSTILE)
def test_invalid_descriptions_are_rejected(change: Callable[[Any], None]) -> None:
    spec = bare(one_level())
    assert _core.OneStageDecoder(spec) is not None
    change(spec)
    with pytest.raises(ValueError):
        _core.OneStageDecoder(spec)


@pytest.mark.parametrize("bad", [None, 3, {}, one_level().levels])
def test_objects_that_are_not_a_description_are_rejected(bad: Any) -> None:
    with pytest.raises(ValueError, match="expected an attribute of a OneStageSpec"):
        _core.OneStageDecoder(bad)


def test_values_are_limited_although_fields_may_share_elements() -> None:
    shared = OutputField("c", "rows", cell_step=1, anchor_step=0)
    level = Level((2**9, 2**9), 1, ((8.0, 8.0),) * 16, shared, (replace(shared, output="b"),))
    most = OneStageSpec((512, 512), 4, (level,), (CxcywhCoding(),))  # 2^22 anchors of 4 + 4 values
    assert _core.OneStageDecoder(most) is not None
    sentence = "4194304 anchors with 9 values each: expected at most 2\\^25 values in all"
    with pytest.raises(UsageError, match=sentence):
        replace(most, num_classes=5)
    beyond = bare(most)
    beyond.num_classes = 5
    with pytest.raises(ValueError, match=sentence):
        _core.OneStageDecoder(beyond)


def test_used_objectness_is_required() -> None:
    spec = bare(replace(one_level(), scores=Scores(objectness_power=1.0)))
    spec.levels[0].objectness = None
    with pytest.raises(ValueError, match="objectness is used, but a level has no field for it"):
        _core.OneStageDecoder(spec)
