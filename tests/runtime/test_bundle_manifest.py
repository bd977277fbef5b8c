"""Untrusted manifest.json: one sentence that names file, field, expected and found."""

import json
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pocketdet.errors import BundleError
from pocketdet.runtime import _core
from pocketdet.runtime.bundle import load_bundle, manifest_to_json, parse_manifest
from pocketdet.runtime.bundle.manifest import MAX_MANIFEST_BYTES
from pocketdet.runtime.bundle.schema import is_safe_path
from pocketdet.runtime.bundle.two_stage import TwoStageManifest
from pocketdet.runtime.precision import Precision


@pytest.fixture
def document(tiny_bundle_template: Path) -> dict[str, Any]:
    return dict(json.loads((tiny_bundle_template / "manifest.json").read_text()))


def refusal(document: object) -> str:
    with pytest.raises(BundleError) as caught:
        parse_manifest(json.dumps(document).encode(), "b/manifest.json")
    message = str(caught.value)
    assert message.startswith("b/manifest.json: ")
    assert "\n" not in message
    return message


def test_round_trip_is_stable(tiny_bundle_template: Path) -> None:
    text = (tiny_bundle_template / "manifest.json").read_text()
    assert manifest_to_json(parse_manifest(text.encode(), "m")) == text
    assert text.startswith('{\n  "schema_version": 4,\n  "name": "tiny",')


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        (("input", "width"), "320", "field 'input.width': expected a valid integer, found '320'"),
        (("input", "width"), 320.5, "field 'input.width': expected a valid integer"),
        (("input", "width"), True, "field 'input.width': expected a valid integer, found True"),
        (("input", "height"), 10**30, "field 'input.height'"),
        (("class_names",), [], "field 'class_names'"),
        (
            ("class_names", 1),
            "nut\x1b[2J",
            "field 'class_names[1]': expected no control characters and others that cannot be shown, found",
        ),
        (("name",), "tiny\u202e", "field 'name': expected no control characters"),
        (("graphs", "head", "layer_sources"), {"out0": "a\n"}, "field 'graphs.head.layer_sources.out0'"),
        (("class_names", 1), 5, "field 'class_names[1]': expected a valid string, found 5"),
        (("class_names",), ["a", "b", "c"], "expected shape (None, 8), found (None, 7)"),
        (("anchors", "sizes", 0), [1.0], "field 'anchors.sizes[0][1]' is missing"),
        (
            ("proposals", "nms_iou"),
            1.5,
            "field 'proposals.nms_iou': expected less than or equal to 1, found 1.5",
        ),
        (("graphs", "head", "onnx"), "head.onnx", "'head.onnx' is used but not listed under files"),
        (("golden", "image"), "../../etc/passwd", "'../../etc/passwd' is used but not listed under files"),
        (("files", "../x"), {"size": 1, "sha256": "0" * 64}, "file name '../x' is not a plain path"),
        (("files", "x"), {"size": -1, "sha256": "0" * 64}, "field 'files.x.size'"),
        (("files", "x"), {"size": 1, "sha256": "AB"}, "field 'files.x.sha256'"),
        (("colour",), "red", "field 'colour' is unknown in schema version 4"),
        (("schema_version",), "1", "field 'schema_version'"),
        (("schema_version",), 0, "field 'schema_version'"),
    ],
)
def test_wrong_fields_are_named(
    document: dict[str, Any], path: tuple[Any, ...], value: object, sentence: str
) -> None:
    place: Any = document
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    assert sentence in refusal(document)


def test_characters_that_cannot_be_shown() -> None:
    """The list is that of Unicode 14; later versions add to it."""
    hidden = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
    for code in range(0x110000):
        is_none = code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF
        expected = is_none or unicodedata.category(chr(code)) in hidden
        assert _core.has_unprintable(f"a{chr(code)}") == expected, hex(code)


def test_a_graph_has_one_input_and_each_role_once(document: dict[str, Any]) -> None:
    features = document["graphs"]["features"]
    changed = json.loads(json.dumps(document))
    changed["graphs"]["features"]["inputs"] *= 2
    assert "graph 'features': expected one input, found 2" in refusal(changed)
    changed = json.loads(json.dumps(document))
    changed["graphs"]["features"]["inputs"][0]["role"] = "pixels"
    assert "blob 'image' of graph 'features': expected shape (3, 32, 32), found None" in refusal(changed)
    features["outputs"].append(dict(features["outputs"][0]))
    assert "graph 'features': role 'rpn_scores' is given twice" in refusal(document)


def test_missing_fields_are_named(document: dict[str, Any]) -> None:
    del document["anchors"]["stride"]
    assert refusal(document).endswith("field 'anchors.stride' is missing")
    del document["tools"]
    assert refusal(document).endswith("(and 1 more)")


def version_1(document: dict[str, Any]) -> dict[str, Any]:
    """The same bundle as it was written before schema version 2."""
    old: dict[str, Any] = json.loads(json.dumps(document))
    old["schema_version"] = 1
    for graph in old["graphs"].values():
        graph.pop("arithmetic", None)
    old["layout"].pop("fp32_modules", None)
    return old


def test_version_1_is_read_as_fp32(document: dict[str, Any]) -> None:
    manifest = parse_manifest(json.dumps(version_1(document)).encode(), "m")
    assert manifest == parse_manifest(json.dumps(document).encode(), "m")
    assert manifest.precision == Precision("fp32", "fp32")
    half = version_1(document)
    half["layout"]["weight_storage"] = "fp16"
    assert parse_manifest(json.dumps(half).encode(), "m").precision == Precision("fp16", "fp32")


def test_version_1_has_no_fields_of_version_2(document: dict[str, Any]) -> None:
    old = version_1(document)
    old["graphs"]["head"]["arithmetic"] = "fp16"
    assert refusal(old).endswith("field 'graphs.head.arithmetic' is unknown in schema version 1")
    old = version_1(document)
    old["layout"]["fp32_modules"] = []
    assert refusal(old).endswith("field 'layout.fp32_modules' is unknown in schema version 1")


def test_suppression_across_classes_needs_version_6(document: dict[str, Any]) -> None:
    agnostic = {**document["postprocessing"], "per_class": False}
    newer = {**document, "schema_version": 6, "postprocessing": agnostic}
    manifest = parse_manifest(json.dumps(newer).encode(), "m")
    assert isinstance(manifest, TwoStageManifest)
    assert not manifest.postprocessing.per_class
    written = manifest_to_json(manifest)
    assert json.loads(written)["schema_version"] == 6
    assert parse_manifest(written.encode(), "m") == manifest
    for version in (4, 5):
        message = refusal({**newer, "schema_version": version})
        assert message.endswith(f"field 'postprocessing.per_class' is unknown in schema version {version}")
    same = parse_manifest(json.dumps({**document, "schema_version": 6}).encode(), "m")
    assert same == parse_manifest(json.dumps(document).encode(), "m")
    agnostic["per_class"] = 1
    assert "field 'postprocessing.per_class'" in refusal(newer)


@pytest.mark.parametrize("version", [True, 1.0, "1", None, -1])
def test_invalid_versions_are_rejected(document: dict[str, Any], version: object) -> None:
    assert "field 'schema_version'" in refusal({**version_1(document), "schema_version": version})


def test_manifest_precision_is_the_narrowest_of_its_graphs(document: dict[str, Any]) -> None:
    document["graphs"]["head"]["arithmetic"] = "fp16"
    document["layout"] |= {"weight_storage": "fp16", "fp32_modules": ["backbone.stem"]}
    manifest = parse_manifest(json.dumps(document).encode(), "m")
    assert manifest.precision == Precision("fp16", "fp16")
    assert manifest.graphs.features.arithmetic == "fp32"
    assert parse_manifest(manifest_to_json(manifest).encode(), "m") == manifest
    document["graphs"]["head"]["arithmetic"] = "fp8"
    assert "field 'graphs.head.arithmetic': expected 'fp32', 'fp16-storage'" in refusal(document)


def test_a_newer_schema_names_the_upgrade_command(document: dict[str, Any]) -> None:
    document["schema_version"] = 7
    document["anchors"] = "whatever version 7 makes of it"
    message = refusal(document)
    assert "schema_version 7 needs a newer pocketdet, this one reads versions 1 to 6; upgrade" in message


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "expected JSON"),
        (b"{", "expected JSON"),
        (b"\xff\xfe\x00", "expected JSON"),
        ('{"name": "tiny"}'.encode("utf-16"), "expected JSON"),
        ('{"name": "tiny"}'.encode("utf-16-le"), "expected JSON"),
        ('{"name": "tiny"}'.encode("utf-32"), "expected JSON"),
        (b"\xef\xbb\xbf{}", "expected JSON"),
        (b'{"name": "tiny"}\0', "expected JSON"),
        (b'{"name": "\xed\xa0\x80"}', "expected JSON"),
        (b"[]", "expected a JSON object, found list"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a":' * 100_000, "nested too deeply"),
        (b'{"name": NaN}', "NaN is not a JSON number"),
        (b'{"name": "a", "name": "b"}', "field 'name' appears twice"),
        (b'{"schema_version": ' + b"9" * 10_000 + b"}", "expected JSON"),
        (b'{"schema_version": 1, "card": ' + b"[" * 400 + b"]" * 400 + b"}", "manifest"),
    ],
)
def test_invalid_json_is_rejected(data: bytes, sentence: str) -> None:
    with pytest.raises(BundleError, match="manifest") as caught:
        parse_manifest(data, "manifest.json")
    assert sentence in str(caught.value)
    assert len(str(caught.value)) < 1000


def test_a_too_large_manifest_is_rejected(tiny_bundle: Path) -> None:
    with (tiny_bundle / "manifest.json").open("ab") as stream:
        stream.truncate(MAX_MANIFEST_BYTES + 1)
    with pytest.raises(BundleError, match=r"manifest\.json: expected at most \d+ bytes"):
        load_bundle(tiny_bundle)


@pytest.mark.parametrize(
    ("first", "second", "sentence"),
    [
        ("a.bin", "A.bin", "have the same name"),
        ("a", "a/b", "is listed as a file and as a folder"),
        ("Manifest.json", "other", "have the same name"),
        ("manifest.json", "other", "have the same name"),
        ("manifest.json/x", "other", "is listed as a file and as a folder"),
    ],
)
def test_colliding_names_are_rejected(tiny_bundle: Path, first: str, second: str, sentence: str) -> None:
    path = tiny_bundle / "manifest.json"
    document = json.loads(path.read_text())
    for name in (first, second):
        document["files"][name] = {"size": 0, "sha256": "0" * 64}
    path.write_text(json.dumps(document))
    with pytest.raises(BundleError, match=sentence):
        load_bundle(tiny_bundle)


def test_too_many_bytes_are_refused_before_copying(tiny_bundle: Path) -> None:
    path = tiny_bundle / "manifest.json"
    document = json.loads(path.read_text())
    document["files"]["huge"] = {"size": 2**31, "sha256": "0" * 64}
    path.write_text(json.dumps(document))
    with pytest.raises(BundleError, match="expected at most 1073741824 bytes of files"):
        load_bundle(tiny_bundle)


@given(st.text(max_size=40))
def test_safe_paths_stay_inside(path: str) -> None:
    if is_safe_path(path):
        resolved = (Path("/bundle") / path).resolve()
        assert resolved.is_relative_to("/bundle")
        assert resolved != Path("/bundle")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None)
@given(data=st.data(), value=JSON)
def test_any_value_is_a_typed_error_or_a_valid_manifest(
    tiny_bundle_template: Path, data: st.DataObject, value: object
) -> None:
    document = json.loads((tiny_bundle_template / "manifest.json").read_text())
    place: Any = document
    while True:
        key = data.draw(st.sampled_from(list(place) if isinstance(place, dict) else range(len(place))))
        if not isinstance(place[key], dict | list) or not place[key] or data.draw(st.booleans()):
            break
        place = place[key]
    place[key] = value
    try:
        manifest = parse_manifest(json.dumps(document).encode(), "m")
    except BundleError as error:
        message = str(error)
    else:
        message = "m: accepted"
        assert parse_manifest(manifest_to_json(manifest).encode(), "m") == manifest
    assert message.startswith("m: ")
    assert "\n" not in message


@pytest.mark.parametrize("value", [1e300, -1e300, 1e-300, 0])
def test_numbers_out_of_float32_range_are_rejected(document: dict[str, Any], value: float) -> None:
    document["preprocessing"]["mean" if abs(value) > 1 else "std"][0] = value
    assert "field 'preprocessing." in refusal(document)
