"""`pocketdet info` on bundles, graphs, weights and architectures."""

import dataclasses
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from needs import SHARED_DATA
from onnx_builder import OnnxBuilder, save
from rich.console import Console
from safetensors.numpy import save_file
from typer.testing import CliRunner

from pocketdet.cli.info_cards import decode_facts
from pocketdet.cli.info_onnx import print_onnx
from pocketdet.cli.main import app
from pocketdet.errors import BundleError, CheckpointError, GraphError, UsageError
from pocketdet.runtime.bundle import load_bundle
from pocketdet.runtime.bundle.one_stage import OneStageManifest
from pocketdet.spec.one_stage import CxcywhCoding, DistanceCoding, Scores

FASTEST_DET = Path(__file__).parents[3] / "shared" / "data" / "peers" / "FastestDet.param"
runner = CliRunner()


def info(*arguments: object) -> Any:
    return runner.invoke(app, ["info", *map(str, arguments)], catch_exceptions=False, env={"COLUMNS": "160"})


def info_json(*arguments: object) -> Any:
    result = info(*arguments, "--json")
    assert result.exit_code == 0
    return json.loads(result.stdout)


def test_a_bundle(tiny_bundle_template: Path) -> None:
    card = info_json(tiny_bundle_template)
    # features: 64, 4 and 1 pixels; the head: 20 RoIs
    macs = {"features": 64 * (216 + 36) + 4 * 64 + 64 + 4 * (16 + 32 + 32), "head": 20 * (64 + 112)}
    assert {g["name"]: g["macs"] for g in card["graphs"]} == macs
    assert card["macs"] == sum(macs.values())
    weights = 216 + 8 + 36 + 4 + 64 + 8 + 64 + 8 + 16 + 2 + 32 + 4 + 32 + 4 + 64 + 16 + 112 + 7
    assert card["parameters"] == weights
    assert card["classes"] == ["bolt", "wrench"]
    assert card["graphs"][0]["weight_storage"] == ["fp32"]
    assert card["graphs"][1]["inputs"] == [{"blob": "in0", "role": "roi_features", "shape": [20, 4]}]
    result = info(tiny_bundle_template)
    for text in ("2: bolt, wrench", "rpn_scores", "4 x 2 x 2", "ConvolutionDepthWise", "golden/image.png"):
        assert text in result.stdout


def test_a_one_stage_bundle(tiny_one_stage_template: Path) -> None:
    card = info_json(tiny_one_stage_template)
    assert card["detector"] == "one-stage"
    assert card["levels"] == [
        "4 x 4 cells of 2, stride 8: maps (map)",
        "2 x 2 cells of 1, stride 16: rows (rows)",
    ]
    assert card["priors"] == 2 * 16 + 4
    assert card["box_coding"] == ["cxcywh"]
    assert card["scores"] == "sigmoid of the classes times sigmoid of objectness"
    assert card["selection"]["score_threshold"] == 0.2
    assert "top_n_per_level" not in card["selection"]
    assert card["macs"] == 64 * (216 + 144 + 576) + 16 * 112 + 4 * 504
    result = info(tiny_one_stage_template)
    for text in ("one-stage", "DeformableConv2D", "model: inputs and outputs", "14 x 4 x 4", "nms hard"):
        assert text in result.stdout


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (Scores(), "sigmoid of the classes"),
        (Scores("softmax", "first"), "softmax of the classes with the background first"),
        (Scores("none", class_power=0.4, objectness_activation="none", objectness_power=0.6),
         "the classes ^ 0.4 times objectness ^ 0.6"),
        (Scores(class_power=0, objectness_activation="softmax", objectness_power=1), "softmax of objectness"),
    ],
)  # fmt: skip
def test_scores_in_words(rule: Scores, words: str, tiny_one_stage_template: Path) -> None:
    with load_bundle(tiny_one_stage_template) as bundle:
        manifest = bundle.manifest
    assert isinstance(manifest, OneStageManifest)
    codings = (CxcywhCoding(), CxcywhCoding(multiplier=(0.1, 0.1, 0.2, 0.2)), DistanceCoding(bins=8))
    decode = dataclasses.replace(manifest.decode, scores=rule)
    object.__setattr__(decode, "codings", codings)  # more than the levels have slots for
    facts = decode_facts(manifest.model_copy(update={"decode": decode}))
    assert facts["scores"] == words
    assert facts["box_coding"] == ["cxcywh", "cxcywh (multiplier (0.1, 0.1, 0.2, 0.2))", "distance (bins 8)"]


def test_a_param_without_shapes_says_what_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "net.param"
    path.write_text("7767517\n2 2\nInput in 0 1 in0\nConvolution c 1 1 in0 out0 0=4 1=1 6=12\n")
    card = info_json(path)
    assert (card["macs"], card["parameters"], card["weights"]) == (None, 12, None)
    assert "pass --shape 3x320x320" in info(path).stdout
    for shape in ("3x10x20", "in0=3x10x20"):
        card = info_json(path, "--shape", shape)
        assert card["macs"] == 12 * 200
        assert card["outputs"] == [{"blob": "out0", "role": None, "shape": [4, 10, 20]}]


@pytest.mark.skipif(not FASTEST_DET.is_file(), reason=SHARED_DATA)
def test_a_graph_that_nobody_here_converted() -> None:
    card = info_json(FASTEST_DET, "--shape", "3x352x352")
    assert card["outputs"] == [{"blob": "758", "role": None, "shape": [85, 22, 22]}]
    assert card["layers"] == 130
    assert card["weight_storage"] == ["fp16"]


def test_weights(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    config = {"arch": "thundernet-snet49", "class_names": ["a", "b"], "input_size": [320, 320]}
    arrays = {"x": np.zeros((3, 4), np.float32), "y": np.zeros(5, np.float16)}
    save_file(arrays, path, {"config": json.dumps(config), "card": json.dumps({"seed": "7"})})
    card = info_json(path)
    assert card["architecture"] == "thundernet-snet49"
    assert card["parameters_by_type"] == {"F32": 12, "F16": 5}
    assert (card["tensors"], card["parameters"], card["card"]) == (2, 17, {"seed": "7"})
    assert "2: a, b" in info(path).stdout


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"short",
        struct.pack("<Q", 2**60) + b"{}",
        struct.pack("<Q", 2) + b"[]",
        struct.pack("<Q", 8) + b'{"a":{}}',
        struct.pack("<Q", 7) + b'{"a":3}',
        struct.pack("<Q", 32) + b'{"__metadata__":{"config":"[1]"}}'[:32],
    ],
)
def test_damaged_weights(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "w.safetensors"
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match=r"w\.safetensors: "):
        info(path)


@pytest.mark.slow
def test_the_paper_s_table() -> None:
    rows = info_json("--macs")
    assert len({row["arch"] for row in rows}) == 3 + 10
    rows = info_json("--arch", "thundernet-snet49", "--macs")
    assert [(r["data_set"], r["paper_mflops"]) for r in rows] == [("COCO", 262), ("VOC", 250)]
    assert all(abs(r["difference"]) < 0.01 for r in rows)
    table = info("--arch", "thundernet-snet49", "--macs").stdout
    assert "263.5" in table
    assert "262" in table
    assert "one-stage" not in table
    [row] = info_json("--arch", "passd-mobilenet", "--macs")
    assert (row["boxes"], row["paper_parameters_in_millions"]) == (6375, "6.7")
    table = info("--arch", "retinanet-r50", "--macs").stdout
    assert "RPN" not in table
    assert "149.2" in table
    assert "156" in table


@pytest.mark.slow
def test_the_tables_of_the_papers_fit_80_columns() -> None:
    ended = runner.invoke(app, ["info", "--macs"], catch_exceptions=False, env={"COLUMNS": "80"})
    lines = ended.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert "…" not in "".join(lines)
    assert any(line.startswith("passd-vgg16") and line.rstrip().endswith("16,320  16,320") for line in lines)


def test_the_paper_s_ablation(tiny_bundle_template: Path) -> None:
    rows = info_json("--ablation")
    assert "".join(row["row"] for row in rows) == "abcdef"
    assert (rows[0]["has"], rows[0]["paper_mflops"]) == ("BL", 714)
    table = info("--ablation").stdout
    for text in ("SRPN SRCN CEM SAM", "742.9", "+240.6", "714", "+241", "29 million more"):
        assert text in table
    with pytest.raises(UsageError, match="leave out"):
        info(tiny_bundle_template, "--ablation")


def test_bad_input(tmp_path: Path, tiny_bundle_template: Path) -> None:
    with pytest.raises(UsageError, match="did you mean 'thundernet-snet49'"):
        info("--arch", "thundernet-snet48", "--macs")
    with pytest.raises(UsageError, match="nothing to describe"):
        info()
    with pytest.raises(UsageError, match=r"--shape is for \.param and \.onnx files"):
        info(tiny_bundle_template, "--shape", "3x4x5")
    with pytest.raises(UsageError, match="leave out"):
        info(tiny_bundle_template, "--macs")
    for shape in ("3x", "axb", "0x4", "1x2x3x4x5", "in0="):
        with pytest.raises(UsageError, match="expected sizes such as"):
            info("x.param", "--shape", shape)
    with pytest.raises(BundleError, match="no such bundle"):
        info(tmp_path / "absent")
    with pytest.raises(GraphError, match=r"absent\.param"):
        info(tmp_path / "absent.param")


def test_a_graph_with_a_layer_type_without_weights_that_is_not_known(tmp_path: Path) -> None:
    text = (
        "7767517\n3 3\nInput in 0 1 in\nYoloV5Focus focus 1 1 in a\nConvolution conv 1 1 a b 0=1 1=1 6=12\n"
    )
    (tmp_path / "old.param").write_text(text)
    (tmp_path / "old.bin").write_bytes(bytes(4 + 12 * 4))
    card = info_json(tmp_path / "old.param", "--shape", "3x32x32")
    assert card["parameters"] == 12
    assert {row["type"] for row in card["layers_by_type"]} == {"Input", "YoloV5Focus", "Convolution"}
    (tmp_path / "old.bin").write_bytes(bytes(8 + 12 * 4))
    with pytest.raises(GraphError, match=r"old\.bin"):
        info(tmp_path / "old.param")


def _onnx(folder: Path, **sizes: object) -> Path:
    b = OnnxBuilder()
    x = b.add("Relu", b.conv("pixels", 3, 8, 3, 8))
    b.conv(x, 8, 6, to="scores")
    b.add("Transpose", b.add("Reshape", "scores", b.ints(1, 6, -1)), perm=[0, 2, 1], to="rows")
    height, width = sizes.get("height", 32), sizes.get("width", 48)
    shapes = {"pixels": (1, 3, height, width)}
    return save(b.model(shapes, {"rows": (1, "n", 6)}, metadata={"task": "detect"}), folder)  # type: ignore[dict-item]


def test_an_onnx_file(tmp_path: Path) -> None:
    path = _onnx(tmp_path)
    card = info_json(path)
    assert (card["opset"], card["metadata"], card["family"]) == (13, {"task": "detect"}, None)
    assert card["operators"] == {"Conv": 2, "Relu": 1, "Reshape": 1, "Transpose": 1}
    assert card["inputs"] == [
        {"name": "pixels", "dtype": "float32", "shape": [1, 3, 32, 48], "at_size": None}
    ]
    assert card["outputs"] == [
        {"name": "rows", "dtype": "float32", "shape": [1, "n", 6], "at_size": [1, 24, 6]}
    ]
    assert card["candidates"] == [
        {"name": "scores", "shape": [1, 6, 4, 6], "stride": [8, 8], "operator": "Conv"}
    ]
    text = info(path).stdout
    for expected in ("1 x n x 6", "1 x 24 x 6", "1 x 6 x 4 x 6", "not recognised", "no known family"):
        assert expected in text


def test_names_of_tensors_are_never_cut() -> None:
    """A description needs the whole name; "StatefulPartitionedCall/..." is longer than a table is wide."""
    name = "StatefulPartitionedCall/functional_1/" + "conv2d_21/BiasAdd/" * 4
    tensor = {"name": name, "dtype": "float32", "shape": [1, 96, 8, 8], "at_size": None}
    candidate = {"name": name, "shape": [1, 96, 8, 8], "stride": [16, 16], "operator": "Conv"}
    card = {"path": "a.onnx", "producer": "", "opset": 12, "operators": {}, "family": None, "metadata": {}}
    card |= {"bytes": 1, "inputs": [], "outputs": [tensor], "candidates": [candidate], "cut_at": []}
    console = Console(width=80, highlight=False)
    with console.capture() as capture:
        print_onnx({**card, "problem": None}, console)
    cells = [line.split("│") for line in capture.get().splitlines() if line.startswith("│ ")]
    assert "".join(c[2].strip() for c in cells if len(c) == 7) == name
    assert "".join(c[1].strip() for c in cells if len(c) == 6) == name


def test_an_onnx_file_of_free_size(tmp_path: Path) -> None:
    path = _onnx(tmp_path, height="h", width="w")
    assert info_json(path, "--shape", "3x64x32")["outputs"][0]["at_size"] == [1, 32, 6]
    assert info_json(path)["outputs"][0]["at_size"] is None
    with pytest.raises(UsageError, match="expected one image, such as 3x320x320"):
        info(path, "--shape", "1x64x32")
    (tmp_path / "noise.onnx").write_bytes(b"no model" * 40)
    with pytest.raises(UsageError, match="cannot be read as an ONNX file"):
        info(tmp_path / "noise.onnx")


def test_an_onnx_file_with_two_inputs_has_no_shapes(tmp_path: Path) -> None:
    b = OnnxBuilder()
    b.add("Add", "left", "right", to="sum")
    path = save(b.model({"left": (1, 3), "right": (1, 3)}, {"sum": (1, 3)}), tmp_path)
    card = info_json(path)
    assert "has 2 inputs (left, right)" in card["problem"]
    assert [tensor["name"] for tensor in card["inputs"]] == ["left", "right"]
    assert "has 2 inputs" in info(path).stdout
