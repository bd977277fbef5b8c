"""Untrusted manifests of one-stage detectors, and what came before schema version 3."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_one_stage import SPEC

from pocketdet.errors import BundleError, GraphError
from pocketdet.runtime.bundle import load_bundle, manifest_to_json, parse_manifest
from pocketdet.runtime.bundle.one_stage import OneStageManifest
from pocketdet.spec.one_stage import Level, OneStageSpec, OutputField, Scores, Selection

Document = dict[str, Any]


@pytest.fixture
def document(tiny_one_stage_template: Path) -> Document:
    return dict(json.loads((tiny_one_stage_template / "manifest.json").read_text()))


@pytest.fixture
def two_stage(tiny_bundle_template: Path) -> Document:
    return dict(json.loads((tiny_bundle_template / "manifest.json").read_text()))


def refusal(document: object) -> str:
    with pytest.raises(BundleError) as caught:
        parse_manifest(json.dumps(document).encode(), "m")
    message = str(caught.value)
    assert message.startswith("m: ")
    assert "\n" not in message
    assert len(message) < 1000
    return message


def edited(document: Document, path: tuple[Any, ...], value: object) -> Document:
    """A copy with one value changed, or removed where it is `...`."""
    copy: Document = json.loads(json.dumps(document))
    place: Any = copy
    for key in path[:-1]:
        place = place[key]
    if value is ...:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return copy


def test_a_manifest_contains_the_description(tiny_one_stage_template: Path) -> None:
    text = (tiny_one_stage_template / "manifest.json").read_text()
    manifest = parse_manifest(text.encode(), "m")
    assert isinstance(manifest, OneStageManifest)
    assert manifest.decode == SPEC
    assert manifest_to_json(manifest) == text
    decode = json.loads(text)["decode"]
    assert set(decode) == {f.name for f in dataclasses.fields(OneStageSpec)}
    assert set(decode["selection"]) == {f.name for f in dataclasses.fields(Selection)}
    assert list(json.loads(text))[-1] == "files"


def test_missing_values_have_defaults(document: Document) -> None:
    decode = document["decode"]
    decode["codings"] = [{"encoding": "cxcywh"}]
    del decode["selection"], decode["scores"]
    for level in decode["levels"]:
        del level["offset"]
    manifest = parse_manifest(json.dumps(document).encode(), "m")
    assert isinstance(manifest, OneStageManifest)
    assert manifest.decode == dataclasses.replace(SPEC, scores=Scores(), selection=Selection())


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        (("decode",), ..., "field 'decode' is missing"),
        (("anchors",), {"stride": 16}, "field 'anchors' is unknown in schema version 4"),
        (("postprocessing",), {}, "field 'postprocessing' is unknown"),
        (("decode", "colour"), 1, "field 'decode.colour'"),
        (("decode", "input_size"), [32, 31], "decode.input_size: expected (32, 32), found (32, 31)"),
        (("decode", "num_classes"), 3, "decode.num_classes: expected 2, as many as class_names, found 3"),
        (("class_names",), ["bolt"], "decode.num_classes: expected 1, as many as class_names, found 2"),
        (("decode", "num_classes"), 0, "field 'decode': OneStageSpec.num_classes has the value 0"),
        (("decode", "levels"), [], "field 'decode': OneStageSpec.levels has 0 entries"),
        (("decode", "levels", 0, "stride"), True, "field 'decode.levels[0].stride'"),
        (("decode", "levels", 0, "stride"), [8, 8, 8], "field 'decode.levels[0].stride'"),
        (("decode", "levels", 0, "stride"), 10**3000, "field 'decode': Level.stride has the value inf"),
        (("decode", "levels", 0, "grid"), [4, 5], "output 'maps' is (14, 4, 4): its field needs (14, 4, 5)"),
        (("decode", "levels", 0, "anchors", 0), [0.0, 5.0], "field 'decode': anchor size (0.0, 5.0)"),
        (("decode", "levels", 0, "boxes"), [], "field 'decode': a level has 0 box fields for 1 codings"),
        (("decode", "levels", 0, "objectness"), None, "field 'decode': objectness is used, but a level has"),
        (("decode", "levels", 0, "classes", "first"), 6, "its field needs (15, 4, 4) (map)"),
        (
            ("decode", "levels", 0, "classes", "layout"),
            "rows",
            "output 'maps' is (14, 4, 4): its field needs (32, 14) (rows)",
        ),
        (("decode", "levels", 1, "classes", "first_row"), 1, "is (4, 7): its field needs (5, 7) (rows)"),
        (("decode", "levels", 1, "classes", "cell_step"), 10**8, "its field needs (300000001, 7) (rows)"),
        (("decode", "levels", 1, "classes", "cell_step"), 0, "OutputField.cell_step has the value 0"),
        (("decode", "levels", 0, "classes", "cell_step"), 2, "OutputField of 'maps': a map has no first_row"),
        (("decode", "levels", 0, "stride"), [8, 0.5], "Level.stride has the value 0.5: expected 1 to 4096"),
        (("decode", "levels", 0, "sizes"), [None, None], "a level has 2 size fields for 1 codings"),
        (("decode", "levels", 1, "sizes"), [{"output": "rows", "layout": "rows", "first": 6}], "(4, 8)"),
        (("golden", "score_threshold"), 1.5, "field 'golden.score_threshold'"),
        (("decode", "levels", 1, "classes", "layout"), "columns", "its field needs (7, 4) (columns)"),
        (
            ("decode", "levels", 1, "classes", "output"),
            "else",
            "graph 'model' has no output 'else', which decode names",
        ),
        (("decode", "levels", 1, "classes", "output"), "é" * 10**5, "graph 'model' has no output 'éé"),
        (("decode", "codings", 0), {}, "field 'decode.codings[0].encoding' is missing"),
        (("decode", "codings", 0), {"encoding": "polar"}, "field 'decode.codings[0]'"),
        (("decode", "codings", 0, "order"), [0, 1, 2, 2], "expected a permutation of 0 to 3"),
        (("decode", "selection", "nms"), "fast", "field 'decode.selection.nms'"),
        (("decode", "selection", "nms_iou"), 1.5, "field 'decode': Selection.nms_iou has the value 1.5"),
        (("graphs", "features"), {}, "field 'graphs.features' is unknown"),
        (("graphs", "model", "inputs", 0, "shape"), [3, 32, 31], "expected one input 'image' (3, 32, 32)"),
        (("graphs", "model", "inputs", 0, "role"), "photo", "expected one input 'image' (3, 32, 32)"),
        (
            ("graphs", "model", "outputs", 0, "role"),
            "rows",
            "output 'rows' is made twice, or no field of decode names it",
        ),
        (
            ("graphs", "model", "outputs", 0, "shape"),
            [14, None, 4],
            "output 'maps': expected one to three lengths, found (14, None, 4)",
        ),
        (
            ("graphs", "model", "outputs", 0, "shape"),
            [14, 1 << 25, 4],
            "field 'graphs.model.outputs[0].shape",
        ),
        (("detector",), "three-stage", "expected 'two-stage' or 'one-stage' in schema version 4"),
        (("detector",), ["one-stage"], "field 'detector': expected 'two-stage' or 'one-stage'"),
        (("detector",), ..., "field 'detector' is missing"),
        (("detector",), "two-stage", "is missing"),
        (("schema_version",), 2, "field 'detector': expected 'two-stage' in schema version 2"),
        (("schema_version",), 1, "field 'detector': expected 'two-stage' in schema version 1"),
    ],
)
def test_wrong_fields_are_named(
    document: Document, path: tuple[Any, ...], value: object, sentence: str
) -> None:
    assert sentence in refusal(edited(document, path, value))


def test_duplicate_and_unread_outputs_are_rejected(document: Document) -> None:
    outputs = document["graphs"]["model"]["outputs"]
    outputs.append({"blob": "out2", "role": "maps", "shape": [14, 4, 4]})
    assert "output 'maps' is made twice, or no field" in refusal(document)
    outputs[-1]["role"] = "attention"
    assert "output 'attention' is made twice, or no field of decode names it" in refusal(document)


def test_unused_objectness_needs_an_output_of_any_size(document: Document) -> None:
    decode = document["decode"]
    decode["scores"]["objectness_power"] = 0.0
    decode["levels"][0]["objectness"]["first"] = 5000
    parse_manifest(json.dumps(document).encode(), "m")
    decode["selection"]["objectness_threshold"] = 0.5
    assert "its field needs (5008, 4, 4)" in refusal(document)


def test_an_unread_output_has_one_to_three_axes(document: Document) -> None:
    decode = document["decode"]
    decode["scores"]["objectness_power"] = 0.0
    decode["levels"][0]["objectness"]["output"] = "unread"
    unread = {"blob": "out2", "role": "unread", "shape": [5]}
    document["graphs"]["model"]["outputs"].append(unread)
    parse_manifest(json.dumps(document).encode(), "m")
    unread["shape"] = [1, 2, 3, 4]
    assert "output 'unread': expected one to three lengths, found (1, 2, 3, 4)" in refusal(document)


def test_an_output_shape_that_differs_from_the_graph_is_rejected(
    tiny_one_stage: Path, rehash: Callable[[Path], None]
) -> None:
    path = tiny_one_stage / "manifest.json"
    document = json.loads(path.read_text())
    document["graphs"]["model"]["outputs"][1]["shape"] = [5, 7]
    path.write_text(json.dumps(document))
    with pytest.raises(GraphError, match=r"blob 'out1' has the shape \(4, 7\), the manifest says \(5, 7\)"):
        load_bundle(tiny_one_stage)


def test_version_2_is_read(two_stage: Document) -> None:
    manifest = parse_manifest(json.dumps(two_stage).encode(), "m")
    assert parse_manifest(json.dumps({**two_stage, "schema_version": 2}).encode(), "m") == manifest
    assert manifest.schema_version == 4


def test_version_2_rejects_fields_of_version_3(two_stage: Document, document: Document) -> None:
    message = refusal({**two_stage, "schema_version": 2, "decode": document["decode"]})
    assert message.endswith("field 'decode' is unknown in schema version 2")


@settings(max_examples=200)
@given(data=st.data())
def test_any_value_of_the_description_is_rejected_or_unchanged(
    tiny_one_stage_template: Path, data: st.DataObject
) -> None:
    document = json.loads((tiny_one_stage_template / "manifest.json").read_text())
    numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    value = data.draw(
        st.none() | st.booleans() | numbers | st.text(max_size=5) | st.lists(numbers, max_size=4)
    )
    place: Any = document["decode"]
    while True:
        key = data.draw(st.sampled_from(list(place) if isinstance(place, dict) else range(len(place))))
        if not isinstance(place[key], dict | list) or not place[key] or data.draw(st.booleans()):
            break
        place = place[key]
    place[key] = value
    try:
        manifest = parse_manifest(json.dumps(document).encode(), "m")
    except BundleError as error:
        assert "\n" not in str(error)
        assert len(str(error)) < 1000
    else:
        assert parse_manifest(manifest_to_json(manifest).encode(), "m") == manifest


def earlier_words(document: Document) -> Document:
    """The document as version 3 wrote it."""
    old: Document = json.loads(json.dumps(document))
    old["schema_version"] = 3
    for level in old["decode"]["levels"]:
        level["priors"] = level.pop("anchors")
        for field in (level["classes"], level["objectness"], *level["boxes"]):
            field["prior_step"] = field.pop("anchor_channels")
            del field["cell_step"], field["anchor_step"]
        del level["sizes"]
    for coding in old["decode"]["codings"]:
        coding["form"] = {"cxcywh": "centre", "xyxy": "corner"}[coding.pop("encoding")]
        for name in ("origin", "centre_unit", "size_unit"):
            if coding.get(name) == "anchor":
                coding[name] = "prior"
    return old


def test_the_words_of_version_3_are_read(document: Document) -> None:
    manifest = parse_manifest(json.dumps(document).encode(), "m")
    assert parse_manifest(json.dumps(earlier_words(document)).encode(), "m") == manifest


def test_version_4_rejects_the_words_of_version_3(document: Document) -> None:
    old = earlier_words(document)
    assert "field 'decode.levels[0].anchors' is missing" in refusal({**old, "schema_version": 4})
    old["decode"]["levels"][0]["anchors"] = old["decode"]["levels"][0]["priors"]
    assert "field 'decode.levels[0].priors'" in refusal(old)


@given(
    st.sampled_from(["map", "rows", "columns"]),
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(1, 3)),
    st.tuples(st.integers(0, 3), st.none() | st.integers(1, 5), st.integers(0, 3)),
    st.integers(1, 5),
)
def test_shape_error_accepts_exactly_the_shapes_that_contain_a_field(
    layout: Any,
    grid: tuple[int, int],
    channel_steps: tuple[int, int, int],
    row_steps: tuple[int, int | None, int],
    elements: int,
) -> None:
    is_map = layout == "map"
    field = OutputField("x", layout, *channel_steps, *((0, None, 1) if is_map else row_steps))
    level = Level(grid, 8, ((8.0, 8.0), (4.0, 4.0)), field, (field,))
    cells, anchors = range(grid[0] * grid[1]), (0, 1)
    channels = 1 + max(
        field.first + a * field.anchor_channels + k * field.element_step
        for a in anchors
        for k in range(elements)
    )
    cell_step = max(1, 2 * field.anchor_step) if field.cell_step is None else field.cell_step
    rows = 1 + max(field.first_row + c * cell_step + a * field.anchor_step for c in cells for a in anchors)
    least = {"map": (channels, *grid), "rows": (rows, channels), "columns": (channels, rows)}[layout]
    assert level.shape_error(field, elements, least) == ""
    for axis in range(len(least)):
        smaller = tuple(n - (i == axis) for i, n in enumerate(least))
        larger = tuple(n + (i == axis) for i, n in enumerate(least))
        assert "its field needs" in level.shape_error(field, elements, smaller)
        assert (level.shape_error(field, elements, larger) == "") == (not is_map or axis == 0)
    assert "its field needs" in level.shape_error(field, elements, (*least, 1))
    assert "its field needs" in level.shape_error(field, elements, (None, *least[1:]))
