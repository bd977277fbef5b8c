"""Descriptions of anybody's detectors: what may be left out, and what is refused."""

import dataclasses
import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from foreign_onnx import DESCRIPTION
from hypothesis import given
from hypothesis import strategies as st

from pocketdet.errors import UsageError
from pocketdet.export.reference.description import (
    DescribedField,
    DescribedLevel,
    Description,
    read_description,
)
from pocketdet.spec.one_stage import CxcywhCoding, DistanceCoding, OutputField

OURS = Path(__file__).parents[2] / "docs" / "own_model" / "fastestdet.toml"


def written(folder: Path, text: str, name: str = "d.toml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_rows_of_levels_that_share_a_tensor_follow_each_other(tmp_path: Path) -> None:
    spec = read_description(written(tmp_path, DESCRIPTION)).spec()
    assert [level.grid for level in spec.levels] == [(8, 8), (4, 4)]
    assert [level.classes for level in spec.levels] == [
        OutputField("rows", "rows", first=5, first_row=0),
        OutputField("rows", "rows", first=5, first_row=64),
    ]
    assert [level.objectness.first_row for level in spec.levels if level.objectness] == [0, 64]
    assert spec.levels[0].anchors == ((8.0, 8.0),)
    assert spec.outputs == ("rows",)


def test_what_is_left_out_follows_from_the_rest() -> None:
    level = DescribedLevel(
        32, classes=DescribedField(output="c"), boxes=(0, DescribedField(2, output="b")), output="a"
    )
    codings = (CxcywhCoding(), DistanceCoding())
    spec = Description((100, 70), ("x",), (level,), codings).spec()
    assert spec.levels[0].grid == (4, 3)
    assert spec.levels[0].boxes == (OutputField("a"), OutputField("b", first=2))
    assert spec.outputs == ("c", "a", "b")


def test_strides_differ_by_axis_and_may_be_fractions() -> None:
    for stride, grid in (
        ((300 / 19, 30.0), (10, 19)),
        ((15.7895, 300 / 10), (10, 19)),
        ((32.0, 64.0), (5, 10)),
        (300 / 7, (7, 7)),
        (4095, (1, 1)),
    ):
        level = DescribedLevel(stride, classes=DescribedField(output="c"), boxes=DescribedField(output="b"))
        (found,) = Description((300, 300), ("x",), (level,)).spec().levels
        assert found.grid == grid
        assert found.anchors == (found.strides,)


def test_widths_and_heights_may_lie_in_another_tensor() -> None:
    level = DescribedLevel(8, classes=0, boxes=4, sizes=DescribedField(1, output="wh"), output="a")
    spec = Description((16, 16), ("x",), (level,)).spec()
    assert spec.levels[0].sizes == (OutputField("wh", first=1),)
    assert spec.outputs == ("a", "wh")
    assert [(field.output, count) for _, field, count in spec.fields_read()] == [
        ("a", 1),
        ("a", 2),
        ("wh", 2),
    ]
    codings = (CxcywhCoding(), DistanceCoding(bins=4))
    two = dataclasses.replace(level, boxes=(4, 6), sizes=(None, DescribedField(0, output="wh")))
    spec = Description((16, 16), ("x",), (two,), codings).spec()
    assert [count for _, _, count in spec.fields_read()] == [1, 4, 8, 8]
    with pytest.raises(UsageError, match="1 size fields for 2 codings"):
        Description((16, 16), ("x",), (dataclasses.replace(two, sizes=4),), codings).spec()


def test_rows_of_the_next_level_begin_after_those_of_any_order() -> None:
    def level(**steps: int) -> DescribedLevel:
        field = DescribedField(0, "t", "rows", **steps)
        return DescribedLevel(8, field, field, grid=(2, 3), anchors=((8.0, 8.0), (16.0, 16.0)))

    orders = (level(), level(cell_step=1, anchor_step=6), level(anchor_step=0, anchor_channels=4), level())
    spec = Description((16, 24), ("x",), orders).spec()
    assert [each.classes.first_row for each in spec.levels] == [0, 12, 24, 30]


def test_earlier_words_mean_the_same(tmp_path: Path) -> None:
    new = DESCRIPTION + '[[codings]]\nencoding = "xyxy"\n'
    old = DESCRIPTION + '[[codings]]\nform = "corner"\n'
    for words in (("encoding", "form"), ('"cxcywh"', '"centre"')):
        old = old.replace(*words)
    assert read_description(written(tmp_path, old)) == read_description(written(tmp_path, new))
    level = {"stride": 8, "output": "m", "classes": {"first": 4, "prior_step": 5}, "priors": [[1, 2], [3, 4]]}
    level["boxes"] = [{"prior_step": 6}]
    coding = {"form": "centre", "origin": "prior", "centre_unit": "prior", "size_unit": "prior"}
    document = {"input_size": [8, 8], "class_names": ["x"], "levels": [level], "codings": [coding]}
    (found,) = read_description(written(tmp_path, json.dumps(document), "d.json")).spec().levels
    assert (found.classes.anchor_channels, found.boxes[0].anchor_channels) == (5, 6)
    assert found.anchors == ((1, 2), (3, 4))
    level["anchors"] = level["priors"]
    with pytest.raises(UsageError, match=r"levels\.0\.priors: unknown field"):
        read_description(written(tmp_path, json.dumps(document), "d.json"))


def test_json_says_the_same_as_toml(tmp_path: Path) -> None:
    text = json.dumps(tomllib.loads(DESCRIPTION))
    assert read_description(written(tmp_path, text, "d.json")) == read_description(
        written(tmp_path, DESCRIPTION)
    )


def test_names_that_are_given_replace_those_of_the_file(tmp_path: Path) -> None:
    line = 'class_names = ["bolt", "nut", "washer"]'
    assert line in DESCRIPTION
    for text in (DESCRIPTION, DESCRIPTION.replace(line, ""), DESCRIPTION.replace(line, "class_names = 7")):
        path = written(tmp_path, text)
        assert read_description(path, ("a", "b", "c")).class_names == ("a", "b", "c")
        with pytest.raises(UsageError, match="class_names has 0 entries"):
            read_description(path, ())
    with pytest.raises(UsageError, match=r"d\.toml: expected class_names in the file, or .* --names"):
        read_description(written(tmp_path, DESCRIPTION.replace(line, "")))


def test_the_example_in_the_documentation_is_sound() -> None:
    spec = read_description(OURS).spec()
    assert (spec.num_classes, spec.count) == (80, 22 * 22)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("stride = 8", "stride = 0", r"d\.toml: DescribedLevel\.stride has the value 0\.0: expected 1 to"),
        ("stride = 8", 'stride = "8"', r"levels\.0\.stride: Input should be a valid number"),
        ("offset = 0", "ofset = 0", r"levels\.0\.ofset: unknown field.*did you mean .?offset"),
        ("encoding = ", "encodng = ", r"codings\.0\.encoding: missing: expected 'cxcywh', 'distance' or"),
        ('output = "rows"', "", r"levels\.0\.classes: expected the name of an output"),
        ("boxes = 0", "boxes = [0, 1]", "2 box fields for 1 codings"),
        ('encoding = "cxcywh"', 'encoding = "circle"', r"codings\.0\.encoding: found 'circle': expected "),
        ('layout = "rows"', 'layout = "rowz"', r"levels\.0\.layout"),
        ("score_threshold = 0.3", "score_threshold = 3", "score_threshold"),
        ('class_names = ["bolt", "nut", "washer"]', "class_names = []", "class_names has 0 entries"),
        ("[[levels]]", "[[levels]", r"d\.toml: expected TOML"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, old: str, new: str, words: str) -> None:
    assert old in DESCRIPTION
    with pytest.raises(UsageError, match=words) as caught:
        read_description(written(tmp_path, DESCRIPTION.replace(old, new, 1))).spec()
    assert "\n" not in str(caught.value)


def test_files_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        read_description(tmp_path / "absent.toml")
    (tmp_path / "b.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="expected TOML"):
        read_description(tmp_path / "b.toml")
    with pytest.raises(UsageError, match="expected TOML"):
        read_description(written(tmp_path, "[" * 100_000, "deep.json"))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = ["input_size", "class_names", "levels", "codings", "scores", "selection", "preprocessing"]


@given(document=st.dictionaries(st.sampled_from(FIELDS), JSON), whole=JSON)
def test_no_document_does_more_than_be_refused(
    document: dict[str, Any], whole: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    for content in (document, whole):
        path = written(tmp_path_factory.getbasetemp(), json.dumps(content), "any.json")
        with pytest.raises(UsageError):
            read_description(path).spec()
