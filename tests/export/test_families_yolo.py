"""YOLO files are recognised by their heads, and what differs is said of the others."""

from collections.abc import Callable
from pathlib import Path

import head_onnx
import pytest

from pocketdet.errors import UsageError
from pocketdet.export.families import FAMILIES, FamilyOptions, Recognised, recognise
from pocketdet.export.families.joined_boxes import CELLS
from pocketdet.export.onnx_graph.summary import summarise
from pocketdet.spec.one_stage import DistanceCoding

NAMES = {"names": "{0: 'bolt', 1: 'nut', 2: 'washer'}", "stride": "32", "task": "detect", "imgsz": "[64, 64]"}


def recognised(path: Path, preset: str | None = None, options: FamilyOptions | None = None) -> Recognised:
    return recognise(summarise(path), options, preset)


@pytest.mark.parametrize("bins", [1, 4, 16])
@pytest.mark.parametrize("end_to_end", [False, True])
def test_ultralytics_boxes_are_read_before_they_are_decoded(
    tmp_path: Path, bins: int, end_to_end: bool
) -> None:
    path = head_onnx.ultralytics(tmp_path / "m.onnx", bins=bins, end_to_end=end_to_end, metadata=NAMES)
    found = recognised(path)
    description = found.match.description
    spec = description.spec()
    assert found.family.name == "ultralytics"
    assert description.class_names == ("bolt", "nut", "washer")
    assert description.codings == (DistanceCoding(bins=bins),)
    assert [level.boxes[0].layout for level in spec.levels] == ["map"] * 3
    assert [level.classes.first_row for level in spec.levels] == [0, 64, 80]
    assert {level.classes.output.split("_")[0] for level in spec.levels} == {"sigmoid"}
    assert (spec.selection.nms, spec.selection.top_n) == (("none", 300) if end_to_end else ("hard", None))
    assert any("the file's own boxes" in line for line in found.match.reasons)
    assert any("cut before TopK" in line for line in found.match.reasons) == end_to_end


def test_masks_beside_the_boxes_are_dropped_with_a_line(tmp_path: Path) -> None:
    path = head_onnx.ultralytics(tmp_path / "m.onnx", extra=5, metadata=NAMES | {"task": "segment"})
    reasons = recognised(path).match.reasons
    assert "not used: channels 7 to 11, such as masks or keypoints" in reasons
    assert "not used: output 'protos'" in reasons


def test_keypoints_of_one_class_are_no_classes_behind_an_objectness(tmp_path: Path) -> None:
    one = NAMES | {"names": "{0: 'person'}", "task": "pose"}
    found = recognised(head_onnx.ultralytics(tmp_path / "m.onnx", classes=1, extra=51, metadata=one))
    assert found.match.description.class_names == ("person",)
    assert "not used: channels 5 to 55, such as masks or keypoints" in found.match.reasons


def test_a_task_without_boxes_is_refused(tmp_path: Path) -> None:
    path = head_onnx.ultralytics(tmp_path / "m.onnx", metadata=NAMES | {"task": "classify"})
    with pytest.raises(UsageError, match="its metadata says task 'classify'; expected a detector"):
        recognised(path)


@pytest.mark.parametrize("joined", [False, True])
def test_raw_ultralytics_heads_are_decoded_as_the_preset_says(tmp_path: Path, joined: bool) -> None:
    found = recognised(head_onnx.ultralytics_raw(tmp_path / "m.onnx", joined=joined, metadata=NAMES))
    spec = found.match.description.spec()
    assert found.family.name == "ultralytics"
    assert spec.codings == (DistanceCoding(bins=16),)
    assert spec.scores.activation == "sigmoid"
    assert [level.stride for level in spec.levels] == [8, 16, 32]
    assert all(level.boxes[0].output != level.classes.output for level in spec.levels)


@pytest.mark.parametrize("decoded", [False, True])
def test_yolox(tmp_path: Path, decoded: bool) -> None:
    found = recognised(head_onnx.yolox(tmp_path / "m.onnx", decoded=decoded))
    spec = found.match.description.spec()
    assert found.family.name == "yolox"
    assert spec.codings == (CELLS,)
    assert [level.offset for level in spec.levels] == [0.0] * 3
    assert [level.boxes[0].layout for level in spec.levels] == ["map"] * 3
    assert found.match.description.preprocessing.channel_order == "BGR"
    assert any("the file's own boxes" in line for line in found.match.reasons) == decoded
    assert found.match.description.class_names == ("class 0", "class 1", "class 2")


def test_yolov6(tmp_path: Path) -> None:
    found = recognised(head_onnx.yolov6(tmp_path / "m.onnx"))
    spec = found.match.description.spec()
    assert found.family.name == "yolov6"
    assert spec.codings == (DistanceCoding(),)
    assert not spec.uses_objectness


def test_anchors_of_yolov5_follow_from_the_decoded_boxes(tmp_path: Path) -> None:
    found = recognised(head_onnx.yolov5(tmp_path / "m.onnx"))
    spec = found.match.description.spec()
    assert found.family.name == "yolov5"
    assert [level.anchors for level in spec.levels] == [tuple(a) for a in head_onnx.ANCHORS]
    assert [level.classes.layout for level in spec.levels] == ["map"] * 3


def test_masks_of_yolov5_are_dropped_with_a_line(tmp_path: Path) -> None:
    found = recognised(head_onnx.yolov5(tmp_path / "m.onnx", masks=4))
    assert len(found.match.description.class_names) == 3
    assert found.match.description.spec().levels[0].classes.anchor_channels == 12
    assert "not used: channels 8 to 11, such as masks or keypoints" in found.match.reasons


@pytest.mark.parametrize("axes", [4, 5])
@pytest.mark.parametrize(("preset", "first"), [("yolov5", (10, 13)), ("yolov7", (12, 16))])
def test_anchors_of_raw_heads_are_those_of_the_preset(
    tmp_path: Path, axes: int, preset: str, first: tuple[int, int]
) -> None:
    found = recognised(head_onnx.yolov5(tmp_path / "m.onnx", raw=axes), preset)
    spec = found.match.description.spec()
    assert spec.levels[0].anchors[0] == first
    maps = [level.boxes[0].output for level in spec.levels]
    assert all(name.startswith("conv_" if axes == 5 else "out") for name in maps)
    assert any("the file does not contain them" in line for line in found.match.reasons)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: head_onnx.yolov5(path, gain=1.5), "not decoded as YOLOv5 does"),
        (lambda path: head_onnx.yolov6(path, constant=0.5), "channel 4 is not the constant 1"),
        (
            lambda path: head_onnx.ultralytics(path, metadata=NAMES | {"names": "['bolt']"}),
            "3 class scores: expected the 1 of the metadata",
        ),
    ],
)
def test_what_differs_is_said_with_the_tensors_that_can_be_named(
    tmp_path: Path, make: Callable[[Path], Path], words: str
) -> None:
    with pytest.raises(UsageError, match="is of no known family") as caught:
        recognised(make(tmp_path / "m.onnx"))
    assert words in str(caught.value)
    assert "such as the raw maps 'conv_" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_preset_is_the_only_family_that_is_tried(tmp_path: Path) -> None:
    path = head_onnx.yolox(tmp_path / "m.onnx")
    with pytest.raises(UsageError, match=r"Nearest families: yolov6 \("):
        recognised(path, "yolov6")
    with pytest.raises(UsageError, match="there is no preset 'yolo99': expected one of ultralytics, yolov5"):
        recognised(path, "yolo99")


def test_names_and_size_of_the_caller(tmp_path: Path) -> None:
    path = head_onnx.ultralytics(tmp_path / "m.onnx", metadata=NAMES)
    found = recognised(path, options=FamilyOptions(("a", "b", "c"), (64, 64)))
    assert found.match.description.class_names == ("a", "b", "c")
    with pytest.raises(UsageError, match="2 class names are given: the head of the file has 3 classes"):
        recognised(path, options=FamilyOptions(("a", "b")))
    with pytest.raises(UsageError, match="its input is 64x64 and --input-size says 32x32"):
        recognised(path, options=FamilyOptions(input_size=(32, 32)))


def test_presets_have_names_of_their_own() -> None:
    names = [family.name for family in FAMILIES]
    assert len(set(names)) == len(names)
