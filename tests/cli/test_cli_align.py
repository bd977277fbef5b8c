"""`pocketdet align`: any ncnn model, with the same outputs."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import Ending, command
from needs import SHARED_DATA

from pocketdet.benchmarks.plan import InterleavedPlan
from pocketdet.runtime.ncnn_graph import Layer, read_graph, write_graph

__all__ = ["command"]

Command = Callable[..., Ending]
PEER = Path(__file__).resolve().parents[3] / "shared/data/peers/FastestDet.param"
SHAPE = ("--shape", "image=3x96x64")


@pytest.fixture
def model(plain_bundle: Path) -> tuple[Path, Path]:
    """A .param and a .bin that are not aligned."""
    return plain_bundle / "features.ncnn.param", plain_bundle / "features.ncnn.bin"


@pytest.fixture
def out(tmp_path: Path) -> tuple[Path, Path]:
    return tmp_path / "wide.param", tmp_path / "wide.bin"


def test_a_model_is_widened_checked_and_written(
    command: Command, model: Path, out: tuple[Path, Path]
) -> None:
    ending = command("align", *model, *out, *SHAPE, "--lanes", 8)
    assert ending.code == 0
    assert "30 -> 32" in ending.out
    assert "its channel order is given by the input" in ending.out
    assert ending.out.count("same answers: ") == 3
    widths = {layer.int_param(0, 0) for layer in read_graph(*out).layers if layer.type == "Convolution"}
    assert {32, 64, 248} <= widths


def test_the_report_as_json(command: Command, model: tuple[Path, Path], out: tuple[Path, Path]) -> None:
    report = json.loads(command("align", *model, *out, *SHAPE, "--target", "avx2", "--json").out)
    assert report["lanes"] == 8
    assert {"channels": 60, "lanes": 64}.items() <= report["widened"][10].items()
    assert report["macs"][0] < report["macs"][1]
    assert [row["output"] for row in report["proof"]] == ["rpn_scores", "rpn_deltas", "sam"]
    assert report["milliseconds"] is None


def test_both_models_are_timed_on_request(
    command: Command, model: tuple[Path, Path], out: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "pocketdet.cli.align_timing.REPORTING", InterleavedPlan(rounds=2, burst=2, refill=1, warm_up=0)
    )
    timed = json.loads(command("align", *model, *out, *SHAPE, "--bench", "--json").out)["milliseconds"]
    assert timed["plain"]["median"] > 0
    assert timed["ratio"]["low"] <= timed["ratio"]["value"] <= timed["ratio"]["high"]


def test_keep_preserves_a_blob(command: Command, model: tuple[Path, Path], out: tuple[Path, Path]) -> None:
    blob = read_graph(model[0]).layer("convrelu_12").outputs[0]
    report = json.loads(command("align", *model, *out, *SHAPE, "--keep", blob, "--json").out)
    reasons = {maker: row["reason"] for row in report["refused"] for maker in row["makers"]}
    assert reasons["convrelu_12"] == f"its channels must stay in place for the kept blob '{blob}'"
    assert blob in [row["output"] for row in report["proof"]]


def test_wide_outputs_are_reported(
    command: Command, model: tuple[Path, Path], out: tuple[Path, Path]
) -> None:
    ending = command("align", *model, *out, *SHAPE, "--wide-outputs")
    assert "output sam: 245 channels, then 3 of padding" in ending.out
    assert "0 crops added" in ending.out


def test_a_second_time_there_is_nothing_to_gain(
    command: Command, model: tuple[Path, Path], out: tuple[Path, Path], tmp_path: Path
) -> None:
    command("align", *model, *out, *SHAPE)
    again = tmp_path / "again.param", tmp_path / "again.bin"
    ending = command("align", *out, *again, *SHAPE)
    assert "nothing to gain with 8 SIMD lanes, the graph is unchanged" in ending.out
    assert [p.read_bytes() for p in again] == [p.read_bytes() for p in out]


@pytest.mark.parametrize("as_json", [False, True])
def test_bench_says_that_an_unchanged_model_is_not_timed(
    command: Command, model: tuple[Path, Path], out: tuple[Path, Path], tmp_path: Path, as_json: bool
) -> None:
    command("align", *model, *out, *SHAPE)
    again = tmp_path / "again.param", tmp_path / "again.bin"
    ending = command("align", *out, *again, *SHAPE, "--bench", *(["--json"] if as_json else []))
    reason = "the model is unchanged, so both models would run equally fast"
    if as_json:
        report = json.loads(ending.out)
        assert (report["milliseconds"], report["not_timed"]) == (None, reason)
    else:
        assert f"not timed: {reason}" in ending.out


@pytest.mark.skipif(not PEER.exists(), reason=SHARED_DATA)
def test_a_model_with_whole_lanes_is_unchanged(command: Command, out: tuple[Path, Path]) -> None:
    ending = command("align", PEER, PEER.with_suffix(".bin"), *out, "--shape", "3x352x352")
    assert ending.code == 0
    assert "nothing to gain" in ending.out
    assert out[1].read_bytes() == PEER.with_suffix(".bin").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "does not say the shape of its input 'image': pass --shape image=3x320x320"),
        (("--shape", "in0=3x96x64"), "has no input 'in0', its inputs are image"),
        (("--shape", "big"), "--shape 'big': expected sizes"),
        ((*SHAPE, "--lanes", 3), "3 lanes for target neon-fp16: expected 4 or 8"),
        ((*SHAPE, "--keep", "nowhere"), "has no blob 'nowhere'"),
    ],
)
def test_wrong_arguments(
    command: Command, model: tuple[Path, Path], out: tuple[Path, Path], arguments: tuple[str], sentence: str
) -> None:
    ending = command("align", *model, *out, *arguments)
    assert ending.code == 2
    assert sentence in ending.err
    assert not out[0].exists()
    assert not out[1].exists()


def test_files_are_not_replaced_without_overwrite(
    command: Command, model: tuple[Path, Path], out: tuple[Path, Path]
) -> None:
    out[1].write_text("mine")
    ending = command("align", *model, *out, *SHAPE)
    assert ending.code == 2
    assert "wide.bin exists already: choose another name, or pass --overwrite" in ending.err
    assert command("align", *model, *out, *SHAPE, "--overwrite").code == 0
    assert out[1].stat().st_size > 1000


def test_a_damaged_model(
    command: Command, model: tuple[Path, Path], out: tuple[Path, Path], tmp_path: Path
) -> None:
    short = tmp_path / "short.bin"
    short.write_bytes(model[1].read_bytes()[:-5])
    ending = command("align", model[0], short, *out, *SHAPE)
    assert ending.code == 2
    assert "short.bin ends early" in ending.err


def test_an_unknown_layer_type_that_may_have_weights(
    command: Command, model: tuple[Path, Path], out: tuple[Path, Path], tmp_path: Path
) -> None:
    graph = read_graph(*model)
    odd = next(layer for layer in graph.layers if layer.weights)
    odd.type = "MyLayer"
    odd.weights.clear()
    write_graph(graph, tmp_path / "odd.param", None)
    ending = command("align", tmp_path / "odd.param", model[1], *out, *SHAPE)
    assert ending.code == 2
    assert "MyLayer is of no known type" in ending.err


def test_a_layer_without_a_rule_is_kept_with_what_depends_on_it(
    command: Command, model: tuple[Path, Path], out: tuple[Path, Path], tmp_path: Path
) -> None:
    graph = read_graph(*model)
    (last, *_) = graph.output_names()
    detections = Layer("Yolov3DetectionOutput", "boxes", [last], ["boxes"], {0: 2, 4: (1.5, 2.5)})
    graph.layers += [detections, Layer("ReLU", "behind", ["boxes"], ["end"])]
    odd = tmp_path / "odd.param", tmp_path / "odd.bin"
    write_graph(graph, *odd)
    ending = command("align", *odd, *out, *SHAPE)
    assert ending.code == 0
    assert "Yolov3DetectionOutput boxes, ReLU behind" in " ".join(ending.out.split())
    assert f"same answers: {last}" in ending.out
    assert out[0].read_text().splitlines()[-2:] == odd[0].read_text().splitlines()[-2:]
    assert out[1].read_bytes() != odd[1].read_bytes()


def test_nothing_is_changed_behind_a_first_layer_without_a_rule(
    command: Command, model: tuple[Path, Path], out: tuple[Path, Path], tmp_path: Path
) -> None:
    graph = read_graph(*model)
    focus = Layer("YoloV5Focus", "focus", ["image"], ["sliced"])
    for layer in graph.layers[1:]:
        layer.inputs = ["sliced" if blob == "image" else blob for blob in layer.inputs]
    graph.layers.insert(1, focus)
    odd = tmp_path / "odd.param", tmp_path / "odd.bin"
    write_graph(graph, *odd)
    ending = command("align", *odd, *out, *SHAPE)
    assert ending.code == 0
    assert [path.read_bytes() for path in out] == [path.read_bytes() for path in odd]


def test_a_full_disk_leaves_nothing(
    command: Command, model: tuple[Path, Path], out: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pocketdet.export.align_model.write_graph", full)
    ending = command("align", *model, *out, *SHAPE)
    assert ending.code == 2
    assert "wide.param cannot be written: No space left on device" in ending.err
    assert list(out[0].parent.iterdir()) == []
