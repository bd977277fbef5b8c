"""Outputs compared field by field: which elements belong to a field, and which errors are found and named."""

from dataclasses import replace
from typing import Any

import numpy as np
import one_stage_loops
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from one_stage_problems import Problem, problems

from pocketdet.runtime.output_fields import UNREAD, Region, compare_output, output_regions
from pocketdet.runtime.parity import TOLERANCES, ValueRange, compare
from pocketdet.spec.one_stage import (
    CxcywhCoding,
    DistanceCoding,
    Level,
    OneStageSpec,
    OutputField,
    Scores,
    Selection,
    XyxyCoding,
    box_elements,
)

FP32, INT8 = TOLERANCES["fp32"], TOLERANCES["int8"]
SIDE, CLASSES, ANCHORS = 320, 20, 2100


def decoded(threshold: float = 0.25, **scores: Any) -> OneStageSpec:
    """A decoded YOLO: boxes in pixels and scores in the channels of one tensor."""
    level = Level(
        (1, ANCHORS),
        8,
        ((8.0, 8.0),),
        OutputField("out", "columns", first=4),
        (OutputField("out", "columns"),),
    )
    coding = CxcywhCoding(origin="image", centre_unit="pixel", size_activation="none", size_unit="pixel")
    return OneStageSpec(
        (SIDE, SIDE),
        CLASSES,
        (level,),
        (coding,),
        Scores(activation="none", **scores),
        Selection(score_threshold=threshold),
    )


def output_of(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """Boxes up to 320 pixels above the scores."""
    boxes = np.random.default_rng(1).uniform(4, SIDE, (4, ANCHORS)).astype(np.float32)
    return np.concatenate([boxes, scores])


def few_scores() -> NDArray[np.float32]:
    """Scores near 0 but for ten."""
    rng = np.random.default_rng(2)
    scores = rng.uniform(0, 0.004, (CLASSES, ANCHORS)).astype(np.float32)
    scores[rng.integers(0, CLASSES, 10), rng.integers(0, ANCHORS, 10)] = np.linspace(0.3, 0.9, 10)
    return scores


def failures(
    spec: OneStageSpec, reference: NDArray[np.float32], subject: NDArray[np.float32], kind: str = "fp32"
) -> list[str]:
    """The names of the checks that fail."""
    regions = output_regions(spec, {"out": reference.shape})["out"]
    tol = TOLERANCES[kind]  # type: ignore[index]
    checks = compare_output(
        "out", regions, reference, subject, relative=tol.outputs, least_snr_db=tol.least_snr_db
    )
    return [check.name for check in checks if not check.ok]


def test_scores_beside_pixels_are_compared_by_their_own_range() -> None:
    """The example of a decoded YOLOv8: a score off by 0.3 is a thousandth of the largest pixel."""
    reference, spec = output_of(few_scores()), decoded()
    wrong = reference.copy()
    wrong[4 + 7, 100] += 0.3
    assert compare("out", reference, wrong, relative=FP32.outputs).ok  # the whole tensor hides it
    assert failures(spec, reference, wrong) == ["out: classes"]
    assert failures(spec, reference, reference) == []
    moved = reference.copy()
    moved[2, 100] += 1
    assert failures(spec, reference, moved) == ["out: boxes"]


def test_noise_of_int8_in_scores_is_found() -> None:
    """Scores off by 32% of themselves, as measured on a YOLOv8n whose tensor was off by 3.4%."""
    reference, spec = output_of(few_scores()), decoded()
    noisy = reference.copy()
    noisy[4:] *= 1 + np.random.default_rng(3).choice([-0.32, 0.32], noisy[4:].shape).astype(np.float32)
    whole = compare("out", reference, noisy, relative=INT8.outputs, least_snr_db=INT8.least_snr_db)
    assert whole.ok
    assert failures(spec, reference, noisy, "int8") == ["out: classes"]


def test_noise_of_scores_that_make_no_detection_is_not_limited() -> None:
    reference, spec = output_of(few_scores()), decoded()
    quiet = reference.copy()
    quiet[4:][quiet[4:] < 0.01] *= 1.9
    assert failures(spec, reference, quiet, "int8") == []
    assert failures(decoded(threshold=0.001), reference, quiet, "int8") == ["out: classes"]
    loud = quiet.copy()
    loud[4, 5] = 0.26  # a detection that the reference does not have
    loud[4:][reference[4:] > 0.25] *= 0.9
    assert failures(spec, reference, quiet) == ["out: classes"]  # fp32 has no such noise


@pytest.mark.parametrize(
    ("threshold", "power", "largest", "least"),
    [
        (0.25, 1.0, 0.9, 0.9),  # its own range
        (0.25, 1.0, 1e-5, 0.25),  # the least score that matters
        (0.3, 0.4, 1e-5, 0.3**2.5),  # before its power
        (0.001, 1.0, 0.02, 0.02),
        (0.0, 1.0, 1e-5, 2.0**-10),  # sigmoids are exact to 1e-7
        (0.0, 1.0, 0.0, 2.0**-10),
    ],
)
def test_the_range_of_probabilities_begins_with_the_least_that_matters(
    threshold: float, power: float, largest: float, least: float
) -> None:
    spec = decoded(threshold, class_power=power)
    reference = output_of(np.full((CLASSES, ANCHORS), largest, np.float32))
    regions = output_regions(spec, {"out": reference.shape})["out"]
    check = compare_output("out", regions, reference, reference, relative=FP32.outputs)[0]
    assert check.name == "out: classes"
    assert check.tolerance == pytest.approx(1e-3 * least * max(1, -np.log(least)), rel=1e-5)


@given(st.floats(1e-6, 0.99), st.floats(-1, 1))
def test_a_probability_is_allowed_the_error_of_its_logit(p: float, error: float) -> None:
    """An error of the logit of a thousandth of its range, as in a graph that ends before the sigmoid."""
    logit = np.log(p / (1 - p))
    moved = 1 / (1 + np.exp(-(logit + error * 1e-3 * max(1.0, abs(logit)))))
    tolerance = 1e-3 * ValueRange(matters=1e-6).of(p)
    assert abs(moved - p) <= tolerance * 1.01


@pytest.mark.parametrize(
    ("coding", "least"),
    [
        (CxcywhCoding(), 1 / 40),  # of the larger side of the largest anchor
        (CxcywhCoding(multiplier=(0.1, 0.1, 0.2, 0.2)), 1 / (0.2 * 40)),
        (CxcywhCoding(centre_unit="stride", size_unit="pixel"), 1 / 16),
        (DistanceCoding(), 1 / 16),
        (DistanceCoding(bins=8), 1.0),
        (XyxyCoding(unit="pixel"), 1.0),
        (XyxyCoding(unit="input"), 1 / 96),
        (XyxyCoding(multiplier=(0.0, 0.0, 0.0, 0.0)), 1.0),
    ],
)
def test_the_floor_of_a_box_value_is_about_a_pixel(coding: Any, least: float) -> None:
    count = 32 if getattr(coding, "bins", 1) > 1 else 4
    level = Level(
        (2, 3),
        16,
        ((10.0, 40.0), (20.0, 8.0)),
        OutputField("c", anchor_channels=2),
        (OutputField("b", anchor_channels=count),),
    )
    spec = OneStageSpec((64, 96), 2, (level,), (coding,))
    regions = output_regions(spec, {"c": (4, 2, 3), "b": (2 * count, 2, 3)})
    assert [part.values.least for part in regions["b"]] == [pytest.approx(least)]
    assert [(part.name, part.values.least) for part in regions["c"]] == [("", 1.0)]  # a logit


def parts(problem: Problem) -> list[tuple[str, Region]]:
    shapes = {name: value.shape for name, value in problem.outputs.items()}
    return [(o, part) for o, regions in output_regions(problem.spec, shapes).items() for part in regions]


def read_by_loops(problem: Problem) -> dict[tuple[str, str], list[list[float]]]:
    """Output and region -> its values by anchor, one element at a time."""
    spec, found = problem.spec, {}
    for number, level in enumerate(spec.levels, 1):
        where = f", level {number}" if len(spec.levels) > 1 else ""
        fields = {"classes": (level.classes, spec.class_elements)}
        if spec.uses_objectness:
            fields["objectness"] = level.objectness, spec.objectness_elements
        for index, (field, coding) in enumerate(zip(level.boxes, spec.codings, strict=True)):
            name = f"boxes {index + 1}" if len(spec.codings) > 1 else "boxes"
            size, count = level.size_field(index), box_elements(coding)
            fields[name] = field, count if size is None else count // 2
            if size is not None:
                fields[f"{name}, sizes"] = size, count // 2
        for kind, (field, count) in fields.items():
            rows = [
                one_stage_loops.read(problem.outputs, field, level, y, x, a, count)
                for y, x, a in np.ndindex(*level.grid, len(level.anchors))
            ]
            if kind == "classes" and spec.scores.activation == "none":
                skipped = {"first": slice(1, None), "last": slice(-1), "none": slice(None)}
                rows = [row[skipped[spec.scores.background]] for row in rows]
            found[field.output, kind + where] = rows
    return found


@given(problems())
def test_fields_are_where_the_decoder_reads_them(problem: Problem) -> None:
    numbered = {
        name: np.arange(value.size, dtype=np.float32).reshape(value.shape)
        for name, value in problem.outputs.items()
    }
    problem = replace(problem, outputs=numbered)
    expected = read_by_loops(problem)
    found = {(output, part.name): part for output, part in parts(problem)}
    for (output, name), rows in expected.items():
        alone = [part for o, part in parts(problem) if o == output]
        part = alone[0] if len(alone) == 1 and not alone[0].name else found[output, name]
        np.testing.assert_array_equal(np.sort(part.of(numbered[output]).ravel()), np.sort(np.ravel(rows)))
        if part.indices is not None:
            np.testing.assert_array_equal(part.of(numbered[output]), np.array(rows))
    for output, value in numbered.items():
        every = [part.of(value).ravel() for o, part in parts(problem) if o == output]
        assert set(np.concatenate(every)) == set(value.ravel())
        unread = {v for o, p in parts(problem) if o == output and p.name == UNREAD for v in p.of(value)}
        read = {v for o, p in parts(problem) if o == output and p.name != UNREAD for v in p.of(value).ravel()}
        assert not unread & read


@given(problems(), st.data())
def test_an_error_in_one_field_of_one_level_is_named(problem: Problem, data: st.DataObject) -> None:
    """Fields of ranges that differ by up to 10^8; an error of a hundredth of one field's own range."""
    regions = [(o, part) for o, part in parts(problem) if part.is_read]
    reference = {name: np.zeros_like(value) for name, value in problem.outputs.items()}
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    ranges = {}
    for number, (output, part) in enumerate(regions):
        ranges[number] = max(part.values.least, 1e-3) * 10 ** data.draw(st.floats(0, 8))
        shape = part.of(reference[output]).shape
        part.put(
            reference[output], rng.uniform(0.5, 1, shape).astype(np.float32) * np.float32(ranges[number])
        )
    wrong = data.draw(st.integers(0, len(regions) - 1))
    output, part = regions[wrong]
    subject = {name: value.copy() for name, value in reference.items()}
    every = np.arange(subject[output].size) if part.indices is None else part.indices.ravel()
    at = every[data.draw(st.integers(0, every.size - 1))]
    subject[output].reshape(-1)[at] += np.float32(0.01 * ranges[wrong])
    failed = [
        check.name
        for name in subject
        for check in compare_output(
            name,
            [p for o, p in parts(problem) if o == name],
            reference[name],
            subject[name],
            relative=FP32.outputs,
        )
        if not check.ok
    ]
    assert failed == [part.label(output)]


def test_elements_that_no_field_reads_have_the_range_of_the_output() -> None:
    level = Level((2, 2), 8, ((8.0, 8.0),), OutputField("out", first=5), (OutputField("out"),))
    spec = OneStageSpec((16, 16), 2, (level,), (XyxyCoding(),))
    reference = np.ones((9, 2, 2), np.float32)
    reference[:4] = 200
    subject = reference.copy()
    subject[4] += 0.1
    assert failures(spec, reference, subject) == []
    subject[8] += 1
    assert failures(spec, reference, subject) == [f"out: {UNREAD}"]
    subject[4] = np.nan
    assert failures(spec, reference, subject) == [f"out: {UNREAD}"]


def test_the_background_of_probabilities_does_not_hide_the_classes() -> None:
    """A background near 1 everywhere, as of a softmax in the graph; no score depends on it."""
    level = Level(
        (1, 50), 8, ((8.0, 8.0),), OutputField("out", "rows", first=4), (OutputField("out", "rows"),)
    )
    spec = OneStageSpec(
        (64, 64),
        1,
        (level,),
        (XyxyCoding(unit="input"),),
        Scores(activation="none", background="first"),
        Selection(score_threshold=0.5),
    )
    reference = np.tile(np.array([0.1, 0.1, 0.3, 0.3, 0.99, 0.01], np.float32), (50, 1))
    reference[7, 4:] = 0.1, 0.9
    subject = reference.copy()
    subject[7, 5] = 0.6
    assert failures(spec, reference, subject, "int8") == ["out: classes"]


def test_an_output_of_another_shape_is_one_failed_check() -> None:
    reference = output_of(few_scores())
    regions = output_regions(decoded(), {"out": reference.shape})["out"]
    (check,) = compare_output("out", regions, reference, reference[:, :-1], relative=1.0)
    assert not check.ok
    assert check.note == "expected shape (24, 2100), found (24, 2099)"
