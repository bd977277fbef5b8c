"""A description that the file contradicts is refused or named; a correct one is accepted without a word.

Fields that a file cannot show to be wrong, and that no test changes here: the texts of class names, channel
order, resize, padding, mean and std in the right unit; offset, the sizes of anchors; order, multiplier,
gains, shifts, units and activations of raw boxes; sigmoid or softmax of raw scores without background; powers
and the whole selection.
"""

import copy
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from synthetic_heads import Document, Head, heads, write_head

from pocketdet.errors import UsageError
from pocketdet.export.reference.description import read_description
from pocketdet.export.reference.factory import reference_from_onnx

Change = Callable[[Document, Head, st.DataObject], None]


def warnings(folder: Path, onnx_file: Path, document: Document) -> tuple[str, ...]:
    """What is named of a description; raises `UsageError` if it is refused."""
    path = folder / "description.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    return reference_from_onnx(onnx_file, read_description(path)).warnings


def _level(document: Document, data: st.DataObject) -> Document:
    found: Document = data.draw(st.sampled_from(document["levels"]))
    return found


def _stride(document: Document, head: Head, data: st.DataObject) -> None:
    _level(document, data)["stride"] *= data.draw(st.sampled_from([2, 4]))


def _level_left_out(document: Document, head: Head, data: st.DataObject) -> None:
    document["levels"].pop(data.draw(st.integers(0, len(head.strides) - 1)))


def _level_too_many(document: Document, head: Head, data: st.DataObject) -> None:
    document["levels"].append(copy.deepcopy(_level(document, data)))


def _levels_in_another_order(document: Document, head: Head, data: st.DataObject) -> None:
    document["levels"].reverse()


def _first_channel(document: Document, head: Head, data: st.DataObject) -> None:
    level = _level(document, data)
    kinds = [kind for kind in ("boxes", "objectness", "classes") if kind in level]
    level[data.draw(st.sampled_from(kinds))]["first"] += 1


def _class_names(document: Document, head: Head, data: st.DataObject) -> None:
    if data.draw(st.booleans()):
        document["class_names"].append("one more")
    else:
        document["class_names"].pop()


def _activation(document: Document, head: Head, data: st.DataObject) -> None:
    scores = document["scores"]
    scores["activation"] = data.draw(st.sampled_from(["sigmoid", "softmax"])) if head.active else "none"


def _objectness_activation(document: Document, head: Head, data: st.DataObject) -> None:
    document["scores"]["objectness_activation"] = "sigmoid" if head.active else "none"


def _objectness_power(document: Document, head: Head, data: st.DataObject) -> None:
    document["scores"]["objectness_power"] = 1.0 - head.objectness


def _background(document: Document, head: Head, data: st.DataObject) -> None:
    others = [end for end in ("none", "first", "last") if end != head.background]
    document["scores"]["background"] = data.draw(st.sampled_from(others))


def _anchors(document: Document, head: Head, data: st.DataObject) -> None:
    anchors = _level(document, data)["anchors"]
    if head.anchors > 1 and data.draw(st.booleans()):
        anchors.pop()
    else:
        anchors.append([3.0, 4.0])


def _anchor_channels(document: Document, head: Head, data: st.DataObject) -> None:
    level = _level(document, data)
    for kind in ("boxes", "objectness", "classes"):
        if kind in level:
            level[kind].pop("anchor_channels", None)


def _anchor_order(document: Document, head: Head, data: st.DataObject) -> None:
    level = _level(document, data)
    height, width = head.grid(level["stride"])
    steps = (head.anchors, 1) if head.outermost else (1, height * width)
    for kind in ("boxes", "objectness", "classes"):
        if kind in level:
            level[kind] |= {"cell_step": steps[0], "anchor_step": steps[1]}


def _first_row(document: Document, head: Head, data: st.DataObject) -> None:
    document["levels"][0][data.draw(st.sampled_from(["boxes", "classes"]))]["first_row"] = 1


def _layout(document: Document, head: Head, data: st.DataObject) -> None:
    others = [layout for layout in ("map", "rows", "columns") if layout != head.layout]
    layout = data.draw(st.sampled_from(others))
    for level in document["levels"]:
        level["layout"] = layout


def _box_unit(document: Document, head: Head, data: st.DataObject) -> None:
    document["codings"][0]["unit"] = "pixel" if head.boxes == "input" else "input"


def _box_encoding(document: Document, head: Head, data: st.DataObject) -> None:
    document["codings"] = [{"encoding": "xyxy"} if head.boxes == "raw" else {"encoding": "distance"}]


def _box_bins(document: Document, head: Head, data: st.DataObject) -> None:
    document["codings"] = [{"encoding": "distance", "bins": 4}]


def _units(document: Document, head: Head, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(["mean", "std"]))
    document["preprocessing"][name] = [value / 255 for value in document["preprocessing"][name]]


def _input_size(document: Document, head: Head, data: st.DataObject) -> None:
    document["input_size"].reverse()


def _any(head: Head) -> bool:
    return True


def _has_rows(head: Head) -> bool:
    return head.layout != "map"


def _has_objectness(head: Head) -> bool:
    return head.objectness


def _has_background(head: Head) -> bool:
    return head.background != "none"


CHANGES: tuple[tuple[Change, Callable[[Head], bool]], ...] = (
    (_stride, _any),
    # the maps of a level are outputs of their own, which a description may leave out
    (_level_left_out, lambda head: len(head.strides) > 1 and _has_rows(head)),
    (_level_too_many, _any),
    (
        _levels_in_another_order,
        lambda head: len(head.strides) > 1 and _has_rows(head) and head.boxes == "raw",
    ),
    (_first_channel, _any),
    (_class_names, _any),
    (_activation, _any),
    (_objectness_activation, _has_objectness),
    (_objectness_power, _any),
    (_background, _any),
    (_background, _has_background),
    (_anchors, _any),
    (_anchor_channels, lambda head: head.layout == "map" and head.anchors > 1),
    (_anchor_order, lambda head: _has_rows(head) and head.anchors > 1 and head.boxes == "raw"),
    (_first_row, _has_rows),
    (_layout, _any),
    (_box_unit, lambda head: head.boxes != "raw"),
    (_box_encoding, _any),
    (_box_bins, _any),
    (_units, _any),
    (_input_size, _any),
)


@settings(
    max_examples=settings().max_examples // 2,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(head=heads(), seed=st.integers(0, 100))
def test_a_correct_description_is_accepted_without_a_word(head: Head, seed: int, tmp_path: Path) -> None:
    path, document = write_head(head, tmp_path, seed)
    found = warnings(tmp_path, path, document)
    leftover = bool(head.extra and head.joined)
    assert [line for line in found if "read by no field" not in line] == []
    assert bool(found) == leftover


def test_decoded_rows_of_several_grids_may_be_one_level(tmp_path: Path) -> None:
    head = Head((8, 16), "rows", True, 2, False, "none", True, "pixel", 3, 0, False)
    path, document = write_head(head, tmp_path)
    rows = 2 * (8 * 12 + 4 * 6)
    level = {"stride": 1, "grid": [1, rows], "layout": "rows", "output": "all", "boxes": 0, "classes": 4}
    assert not warnings(tmp_path, path, document | {"levels": [level]})


@pytest.mark.parametrize(
    ("change", "applies"), CHANGES, ids=lambda value: value.__name__.strip("_").replace("<lambda>", "some")
)
@settings(
    max_examples=settings().max_examples // 5,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.filter_too_much,
    ],
)
@given(data=st.data())
def test_one_wrong_field_is_refused_or_named(
    change: Change, applies: Callable[[Head], bool], data: st.DataObject, tmp_path: Path
) -> None:
    head = data.draw(heads().filter(applies))
    path, document = write_head(head, tmp_path)
    wrong = copy.deepcopy(document)
    change(wrong, head, data)
    before = warnings(tmp_path, path, document)
    try:
        after = warnings(tmp_path, path, wrong)
    except UsageError as error:
        assert "\n" not in str(error)
        return
    assert set(after) - set(before), wrong
