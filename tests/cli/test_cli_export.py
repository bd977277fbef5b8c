"""`pocketdet export` from a checkpoint and from a plain state dict, its refusals, and Ctrl-C."""

import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from command_line import Ending, command, process
from foreign_onnx import make_foreign

from pocketdet.cli.export import next_commands
from pocketdet.evaluation.variants import evaluation_threshold
from pocketdet.export import FoldReport, fold_batch_norm
from pocketdet.models.checkpoint import load_checkpoint, save_checkpoint
from pocketdet.models.thundernet import ThunderNet
from pocketdet.runtime.bundle import load_bundle
from pocketdet.runtime.bundle.one_stage import OneStageManifest
from pocketdet.runtime.bundle.two_stage import TwoStageManifest
from pocketdet.runtime.images import read_image

__all__ = ["command"]

Command = Callable[..., Ending]
ARCH = ("--arch", "thundernet-snet49")


@pytest.fixture(scope="module")
def weights(small_model: ThunderNet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the weights of the small model in both forms, and its class names."""
    folder = tmp_path_factory.mktemp("weights")
    save_checkpoint(folder / "w.safetensors", small_model, {"data": "three bolts"})
    torch.save(small_model.state_dict(), folder / "w.pt")
    (folder / "labels.txt").write_text("\ufeffSchraube\n\nnut\nwasher\n", encoding="utf-8")
    cv2.imwrite(str(folder / "photo.png"), np.random.default_rng(1).integers(0, 256, (40, 50, 3), np.uint8))
    return folder


def test_a_checkpoint_needs_no_words(command: Command, weights: Path, tmp_path: Path) -> None:
    ending = command("export", weights / "w.safetensors", "--out", tmp_path / "out")
    assert (ending.code, ending.err) == (0, "")
    lines = ending.out.splitlines()
    assert sum(line.startswith("-[✓] folded ") for line in lines) > 50
    assert sum(line.startswith("-[✓] ncnn ") for line in lines) > 10
    assert not [line for line in lines if line.startswith("-[x]")]
    target = tmp_path / "out" / "thundernet-snet49.pocketdet"
    assert f"pocketdet verify {target} --layers" in ending.out
    assert list((tmp_path / "out").iterdir()) == [target]
    with load_bundle(target) as bundle:
        assert bundle.manifest.class_names == ("bolt", "nut", "washer")
        assert (bundle.manifest.input.height, bundle.manifest.input.width) == (96, 64)
        assert bundle.manifest.card == {"data": "three bolts"}
        assert isinstance(bundle.manifest, TwoStageManifest)
        assert bundle.manifest.postprocessing.score_threshold == 0.35
        assert bundle.manifest.golden.score_threshold == 0.05
        assert evaluation_threshold(bundle) == 0.05
        kept = load_checkpoint(bundle.path("reference/weights.safetensors"))
        assert kept.config.postprocessing.score_threshold == 0.05
    assert "score threshold 0.35; that of the model, 0.05, remains in the golden test" in ending.out
    ending = command("verify", target, "--image", weights / "photo.png")
    assert (ending.code, ending.err) == (0, "")


def test_a_state_dict_is_told_what_it_is(command: Command, weights: Path, tmp_path: Path) -> None:
    ending = command(
        *("export", weights / "w.pt", *ARCH, "--names", weights / "labels.txt", "--input-size", "64X96"),
        *("--golden", weights / "photo.png", "--name", "mine"),
        *("--score", "0.2", "--slim", "--zip", "--out", tmp_path),
    )
    assert (ending.code, ending.err) == (0, "")
    assert [p.name for p in tmp_path.iterdir()] == ["mine.pocketdet.zip"]
    with load_bundle(tmp_path / "mine.pocketdet.zip") as bundle:
        manifest = bundle.manifest
        assert manifest.name == "mine"
        assert isinstance(manifest, TwoStageManifest)
        assert manifest.postprocessing.score_threshold == 0.2
        assert manifest.class_names == ("Schraube", "nut", "washer")
        assert (manifest.input.height, manifest.input.width) == (64, 96)
        assert manifest.layout.weight_storage == "fp32"
        assert manifest.reference_weights is None
        assert np.array_equal(bundle.golden()["image"], read_image(weights / "photo.png"))


@pytest.mark.slow
def test_half_precision_with_choices(command: Command, weights: Path, tmp_path: Path) -> None:
    (tmp_path / "layers.toml").write_text('[layers]\n"head/*" = "fp32"\n"backbone.conv1.*" = "fp32"\n')
    words = ("--precision", "fp16", "--layers", tmp_path / "layers.toml", "--calib", weights)
    ending = command("export", weights / "w.safetensors", *words, "--out", tmp_path)
    assert (ending.code, ending.err) == (0, "")
    assert "-[✓] range features: 1 layers in fp32, no other can overflow (4 images)" in ending.out
    assert "fp16 weights, fp16 arithmetic, " in ending.out
    bundle = tmp_path / "thundernet-snet49.pocketdet"
    shown = command("info", bundle).out
    assert "fp16 weights, fp16 arithmetic" in shown
    assert "kept in fp32 under half precision: convrelu_0" in shown
    found = command("detect", bundle, weights / "photo.png", "--no-save", "--json").out
    ran = json.loads(found)
    assert ran["precision_asked"] == "fp16"
    said = command("detect", bundle, weights / "photo.png", "--no-save").out
    assert ("fp16 was requested and fp32 is in use" in said) == (ran["precision"] == "fp32")


def test_a_choice_that_fits_no_layer(command: Command, weights: Path, tmp_path: Path) -> None:
    (tmp_path / "layers.toml").write_text('[layers]\n"head.score" = "fp16"\n')
    words = ("--layers", tmp_path / "layers.toml", "--out", tmp_path / "out")
    ending = command("export", weights / "w.safetensors", *words)
    assert ending.code == 2
    assert "no layer is called 'head.score'; the nearest names are 'head.scores'" in ending.err
    assert [p.name for p in tmp_path.rglob("*")] == ["layers.toml"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("absent.safetensors",), "absent.safetensors: no such file"),
        (("w.pt",), "name its architecture with --arch"),
        (("w.pt", "--arch", "thundernet-snet94"), "thundernet-snet49"),
        (("w.pt", "--arch", "thundernet-snet535"), "w.pt"),
        (("w.pt", *ARCH, "--names", "two.txt"), "w.pt"),
        (("w.pt", *ARCH, "--names", "twice.txt"), "class name 'nut' appears more than once"),
        (("w.pt", *ARCH, "--names", "empty.txt"), "expected one class name per line, found none"),
        (("w.pt", *ARCH, "--names", "latin.txt"), "latin.txt: cannot be read as a list of class names"),
        (("w.pt", *ARCH, "--names", "absent.txt"), "absent.txt: no such file"),
        (("gone.pt", *ARCH, "--names", "absent.txt"), "gone.pt: no such file; absent.txt: no such file"),
        (("w.pt", *ARCH, "--input-size", "300"), "300"),
        (("w.pt", *ARCH, "--input-size", "0"), "input_size"),
        (("w.pt", *ARCH, "--input-size", "9" * 5000), "expected one side or HEIGHTxWIDTH"),
        (("w.pt", *ARCH, "--input-size", "320x"), "expected one side or HEIGHTxWIDTH"),
        (("w.pt", *ARCH, "--input-size", "-320"), "expected one side or HEIGHTxWIDTH"),
        (("w.pt", *ARCH, "--golden", "labels.txt"), "labels.txt: expected a "),
        (("w.pt", *ARCH, "--golden", "absent.png"), "absent.png: no such file"),
        (("w.pt", *ARCH, "--precision", "int4"), "int4"),
        (("w.pt", *ARCH, "--score", "35"), "score_threshold=35: expected a number from 0 to 1"),
        (("w.safetensors", "--precision", "int8"), "int8 needs images like those that the detector will see"),
        (("w.safetensors", "--max-ap-drop", "1"), "--max-ap-drop needs labelled images: --data FILE.json"),
        (
            ("w.safetensors", "--data", "d.json"),
            "--data, --images and --split are what --max-ap-drop is measured on",
        ),
        (("w.safetensors", "--max-output-error", "0.1"), "no layer is to be int8"),
        (("w.safetensors", "--max-output-error", "-1"), "max_output_error must not be negative"),
        (("w.safetensors", "--layers", "absent.toml"), "absent.toml: cannot be read"),
        (("w.safetensors", "--layers", "labels.txt"), "labels.txt: not a TOML file"),
        (("w.safetensors", "--layers", "fp8.toml"), "fp8.toml: layer 'conv_0': expected fp32, fp16, int8"),
        (("w.safetensors", "--precision", "fp16", "--calib", "absent"), "absent: no such file"),
        (("w.safetensors", "--precision", "fp16", "--calib", "taken.pocketdet"), "expected images"),
        (("w.safetensors", "--name", "../up"), "bundle name '../up'"),
        (("w.safetensors", "--name", "a b"), "bundle name 'a b': expected 1 to 100 ASCII letters"),
        (("w.safetensors", "--out", "labels.txt"), "cannot write"),
        (("w.safetensors", "--name", "taken"), "taken.pocketdet exists already"),
        (("w.safetensors", "--name", "taken", "--overwrite"), "not a bundle: it will not be overwritten"),
        (("labels.txt", *ARCH), "labels.txt: cannot tell its format"),
        (("cut.safetensors",), "cut.safetensors: not a readable safetensors file"),
    ],
)
def test_bad_input_is_one_sentence_and_nothing_written(
    command: Command,
    weights: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    words: str,
) -> None:
    folder = Path(shutil.copytree(weights, tmp_path / "here"))
    (folder / "two.txt").write_text("bolt\nnut\n")
    (folder / "twice.txt").write_text("nut\nbolt\nnut\n")
    (folder / "empty.txt").write_text("\n  \n")
    (folder / "latin.txt").write_bytes("Schlüssel\nnut\nbolt\n".encode("latin-1"))
    (folder / "cut.safetensors").write_bytes((folder / "w.safetensors").read_bytes()[:-1000])
    (folder / "fp8.toml").write_text('[layers]\nconv_0 = "fp8"\n')
    (folder / "taken.pocketdet").mkdir()
    before = sorted(folder.rglob("*"))
    monkeypatch.chdir(folder)
    ending = command("export", *arguments)
    assert (ending.code, ending.out) == (2, "")
    assert words in ending.err
    assert "Traceback" not in ending.err
    assert sorted(folder.rglob("*")) == before


def test_an_onnx_file_with_its_description(command: Command, tmp_path: Path) -> None:
    path, description = make_foreign(tmp_path)
    (tmp_path / "names.txt").write_text("one\ntwo\nthree\n", encoding="utf-8")
    ending = command(
        *("export", path, "--outputs", description, "--names", tmp_path / "names.txt"),
        *("--score", "0.9", "--out", tmp_path / "out"),
    )
    assert (ending.code, ending.err) == (0, "")
    with load_bundle(tmp_path / "out" / "foreign.pocketdet") as bundle:
        manifest = bundle.manifest
        assert manifest.class_names == ("one", "two", "three")
        assert isinstance(manifest, OneStageManifest)
        assert manifest.decode.selection.score_threshold == 0.9
        assert manifest.golden.score_threshold is not None
        assert manifest.golden.score_threshold < 0.9
        assert len(bundle.golden()["scores"])


@pytest.mark.parametrize(
    ("stem", "name"),
    [("UltraFace v1 (2)", "UltraFace-v1-2"), (".hidden  net.", "hidden-net"), ("a" * 150, "a" * 100)],
)
def test_a_name_that_no_bundle_can_have_is_made_safe(
    command: Command, tmp_path: Path, stem: str, name: str
) -> None:
    path, description = make_foreign(tmp_path)
    renamed = path.rename(tmp_path / f"{stem}.onnx")
    ending = command("export", renamed, "--outputs", description, "--out", tmp_path / "out")
    assert (ending.code, ending.err) == (0, "")
    assert f"bundle name {name}, made from {stem!r}; --name chooses another" in ending.out
    with load_bundle(tmp_path / "out" / f"{name}.pocketdet") as bundle:
        assert (bundle.manifest.name, bundle.manifest.architecture) == (name, stem)


def test_a_name_that_cannot_be_made_safe_points_to_the_option(command: Command, tmp_path: Path) -> None:
    path, description = make_foreign(tmp_path)
    renamed = path.rename(tmp_path / "検出.onnx")
    words = ("export", renamed, "--outputs", description, "--out", tmp_path / "out")
    ending = command(*words)
    assert (ending.code, ending.out) == (2, "")
    assert "bundle name '検出': expected" in ending.err
    assert "choose another with --name" in ending.err
    assert not (tmp_path / "out").exists()
    assert command(*words, "--name", "detector").code == 0


def test_names_of_a_description_without_any(command: Command, tmp_path: Path) -> None:
    path, description = make_foreign(tmp_path)
    text = description.read_text(encoding="utf-8")
    description.write_text(text.replace('class_names = ["bolt", "nut", "washer"]\n', ""), encoding="utf-8")
    (tmp_path / "names.txt").write_text("one\ntwo\nthree\n", encoding="utf-8")
    words = ("export", path, "--outputs", description, "--out", tmp_path / "out")
    ending = command(*words)
    assert (ending.code, ending.out) == (2, "")
    assert (
        "foreign.toml: expected class_names in the file, or a file with one name per line as --names"
        in ending.err
    )
    assert command(*words, "--names", tmp_path / "names.txt").code == 0
    with load_bundle(tmp_path / "out" / "foreign.pocketdet") as bundle:
        assert bundle.manifest.class_names == ("one", "two", "three")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("foreign.onnx",), "foreign.onnx: its head is of no known family. Outputs: 'pooled'"),
        (("foreign.onnx", "--outputs", "foreign.toml", "--arch", "x"), "--arch is for checkpoints"),
        (("foreign.onnx", "--outputs", "foreign.toml", "--input-size", "64"), "leave out --preset and"),
        (("foreign.onnx", "--outputs", "foreign.toml", "--preset", "yolox"), "leave out --preset and"),
        (("foreign.onnx", "--preset", "yolo"), "there is no preset 'yolo': expected one of ultralytics"),
        (("foreign.onnx", "--preset", "yolox"), "Nearest families: yolox ('rows': expected channel 4 to be"),
        (("w.safetensors", "--outputs", "foreign.toml"), "--outputs and --preset are for an .onnx file"),
        (("w.safetensors", "--preset", "yolox"), "--outputs and --preset are for an .onnx file"),
        (("foreign.onnx", "--outputs", "absent.toml"), "absent.toml: no such file"),
    ],
)
def test_options_of_an_onnx_file_that_do_not_fit(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], said: str
) -> None:
    make_foreign(tmp_path)
    monkeypatch.chdir(tmp_path)
    ending = command("export", *words, "--out", "out")
    assert (ending.code, ending.out) == (2, "")
    assert said in ending.err
    assert not (tmp_path / "out").exists()


def test_a_step_that_changes_answers_exits_with_one(
    command: Command, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sabotage(model: ThunderNet) -> tuple[torch.nn.Module, FoldReport]:
        folded, report = fold_batch_norm(model)
        with torch.no_grad():
            folded.get_parameter("rpn.deltas.weight").mul_(1.01)
        return folded, report

    monkeypatch.setattr("pocketdet.export.reference.base.fold_batch_norm", sabotage)
    ending = command("export", weights / "w.safetensors", "--out", tmp_path / "out")
    assert ending.code == 1
    assert ending.err.startswith(
        "error: the export of thundernet-snet49 stopped, 1 check(s) failed; first: -[x]"
    )
    assert "-[x] fold rpn_deltas" in ending.out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "reached",
    ["folded backbone", *(pytest.param(step, marks=pytest.mark.slow) for step in ("onnx sam", "ncnn sam"))],
)
def test_ctrl_c_leaves_nothing(weights: Path, tmp_path: Path, reached: str) -> None:
    out = tmp_path / "out"
    child = process("export", weights / "w.safetensors", "--out", out, start_new_session=True)
    assert child.stdout is not None
    assert any(reached in line for line in child.stdout)
    os.killpg(child.pid, signal.SIGINT)  # as a terminal does: to pnnx, too, if it runs
    _, errors = child.communicate(timeout=60)
    assert child.returncode == 130
    assert errors.strip().splitlines()[-1] == "error: interrupted"
    assert "Traceback" not in errors
    assert not out.exists()


def test_next_commands_can_be_pasted() -> None:
    path = Path("my bundles/x.pocketdet")
    assert "verify 'my bundles/x.pocketdet' --layers" in next_commands(path)
    assert "cycles" not in next_commands(path)
    assert "cycles 'my bundles/x.pocketdet' --core a76" in next_commands(path, is_int8=True)
