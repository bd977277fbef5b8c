"""`pocketdet describe` prints what `pocketdet export` recognises; its output exports to the same bundle."""

import tomllib
from collections.abc import Callable
from pathlib import Path

import head_onnx
import numpy as np
import onnx
import pytest
from command_line import Ending, command

from pocketdet.export.reference.description import read_description
from pocketdet.runtime.bundle import load_bundle

__all__ = ["command"]

Command = Callable[..., Ending]
NAMES = {"names": "['bolt', 'nut', 'washer']", "stride": "32", "task": "detect"}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return head_onnx.ultralytics(tmp_path / "model.onnx", bins=16, metadata=NAMES)


def described(command: Command, folder: Path, *arguments: object) -> tuple[str, Path]:
    ending = command("describe", *arguments)
    assert (ending.code, ending.err) == (0, "")
    path = folder / "described.toml"
    path.write_text(ending.out, encoding="utf-8")
    return ending.out, path


def test_a_description_says_at_its_top_where_it_is_from(
    command: Command, tmp_path: Path, model: Path
) -> None:
    text, path = described(command, tmp_path, model)
    comments = [line for line in text.splitlines() if line.startswith("#")]
    assert comments[:2] == [
        "# model.onnx",
        "# recognised: Ultralytics YOLOv5u, v8, v9, v10, 11, 12, 26; boxes of segment and pose models "
        "(ultralytics)",
    ]
    assert "# 3 classes, named in the file's metadata" in comments
    assert any(line.startswith("# preprocessing of the preset ultralytics, no file") for line in comments)
    assert read_description(path).class_names == ("bolt", "nut", "washer")


def test_export_alone_and_with_its_description_give_equal_bundles(
    command: Command, tmp_path: Path, model: Path
) -> None:
    _, path = described(command, tmp_path, model)
    alone = command("export", model, "--out", tmp_path / "alone")
    assert (alone.code, alone.err) == (0, "")
    assert "recognised: Ultralytics" in alone.out
    with_file = command("export", model, "--outputs", path, "--out", tmp_path / "described")
    assert (with_file.code, with_file.err) == (0, "")
    with (
        load_bundle(tmp_path / "alone" / "model.pocketdet") as first,
        load_bundle(tmp_path / "described" / "model.pocketdet") as second,
    ):
        assert first.manifest.decode == second.manifest.decode
        assert first.manifest.preprocessing == second.manifest.preprocessing
        assert first.manifest.class_names == second.manifest.class_names
        assert first.manifest.graphs == second.manifest.graphs


def test_settings_that_differ_replace_only_those(command: Command, tmp_path: Path, model: Path) -> None:
    changes = tmp_path / "changes.toml"
    changes.write_text(
        'class_names = ["a", "b", "c"]\n[preprocessing]\nchannel_order = "BGR"\n[selection]\nnms_iou = 0.5\n'
    )
    text, _ = described(command, tmp_path, model, "--outputs", changes)
    plain = tomllib.loads(described(command, tmp_path / "..", model)[0])
    found = tomllib.loads(text)
    assert found["class_names"] == ["a", "b", "c"]
    assert found["preprocessing"] == plain["preprocessing"] | {"channel_order": "BGR"}
    assert found["selection"] == plain["selection"] | {"nms_iou": 0.5}
    assert found["levels"] == plain["levels"]
    assert f"# changed as {changes} says: preprocessing, selection" in text


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[preprocessing]\nmeen = [0, 0, 0]\n", "preprocessing.meen: unknown field; did you mean mean?"),
        ("input_size = [64]\n", "input_size: expected [height, width]"),
        ("class_names = 7\n", "class_names: expected a list of names"),
        ('class_names = ["a"]\n', "1 class names are given: the head of the file has 3 classes"),
        ("[[codings]\n", "expected TOML"),
    ],
)
def test_changes_that_are_wrong_are_refused(
    command: Command, tmp_path: Path, model: Path, content: str, words: str
) -> None:
    changes = tmp_path / "changes.toml"
    changes.write_text(content)
    ending = command("describe", model, "--outputs", changes)
    assert (ending.code, ending.out) == (2, "")
    assert words in ending.err


def test_a_quantised_file_is_refused_with_the_way_out(command: Command, tmp_path: Path) -> None:
    graph = head_onnx.HeadGraph()
    scale, zero = graph.constant(0.1), graph.constant(np.uint8(0))
    values = graph.add("QuantizeLinear", graph.features()[0], scale, zero)
    graph.output(graph.add("DequantizeLinear", values, scale, zero), "out", 1, 8, 8, 8)
    ending = command("describe", graph.write(tmp_path / "q.onnx"))
    assert (ending.code, ending.out) == (2, "")
    assert "is quantised (QuantizeLinear makes" in ending.err
    assert "--precision int8" in ending.err


@pytest.mark.parametrize("make", [head_onnx.ultralytics, head_onnx.yolox, head_onnx.yolov5])
def test_a_half_precision_file_is_recognised_as_its_float_file(
    command: Command, tmp_path: Path, make: Callable[[Path], Path]
) -> None:
    whole, half = make(tmp_path / "whole.onnx"), tmp_path / "half.onnx"
    graph = onnx.load(whole)
    for tensor in graph.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT:
            values = onnx.numpy_helper.to_array(tensor).astype(np.float16)
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    for value in (*graph.graph.input, *graph.graph.output):
        value.type.tensor_type.elem_type = onnx.TensorProto.FLOAT16
    onnx.save(graph, half)
    found = [tomllib.loads(described(command, tmp_path, path)[0]) for path in (whole, half)]
    assert found[0] == found[1]


def test_families_are_listed(command: Command) -> None:
    ending = command("describe", "--families")
    assert (ending.code, ending.err) == (0, "")
    assert "ultralytics" in ending.out
    assert "YOLOX nano to x" in ending.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [((), "nothing to describe: name an .onnx file"), (("absent.onnx",), "absent.onnx: no such file")],
)
def test_a_missing_file(command: Command, arguments: tuple[str, ...], words: str) -> None:
    ending = command("describe", *arguments)
    assert (ending.code, ending.out) == (2, "")
    assert words in ending.err
