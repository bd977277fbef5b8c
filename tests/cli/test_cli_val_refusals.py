"""`pocketdet val`: bad data, bad input and Ctrl-C are one sentence each; the help."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest
from command_line import Ending, command
from val_project import labelled, project, voc, weights

from pocketdet.cli.val import BackendName
from pocketdet.evaluation.variants import Backend
from pocketdet.runtime.detector import Detector

__all__ = ["command", "project", "voc", "weights"]

Command = Callable[..., Ending]


def test_bad_data_is_named_and_can_be_left_out(
    command: Command, small_bundle: Path, project: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(project, tmp_path / "project"))
    (folder / "1.png").unlink()
    (folder / "3.png").write_bytes(b"no image")
    ending = command("val", small_bundle, *labelled(folder), "--out", tmp_path / "out")
    assert (ending.code, ending.out) == (2, "")
    for words in ("the data has 2 problems", "1.png: no such file", "--skip-bad"):
        assert words in ending.err
    assert not (tmp_path / "out").exists()
    ending = command("val", small_bundle, *labelled(folder), "--skip-bad", "--only", "ncnn-fp32")
    assert ending.code == 0
    assert "2 of 4 images, 2 objects" in ending.out
    assert "2 problems of the data were left out (--skip-bad)" in ending.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("small",), "name the annotated images in one of two ways"),
        (("small", "--data", "test.json", "--voc", "."), "name the annotated images in one of two ways"),
        (("small", "--data", "test.json"), "--data test.json needs --images DIR"),
        (("small", "--data", "test.json", "--split", "test"), "--split belongs to a folder"),
        (("small", "--voc", ".", "--images", "."), "--images belongs to --data"),
        (("small", "--voc", "."), ".: not a Pascal VOC folder: expected Annotations/*.xml"),
        (("small", "--data", "."), ".: has COCO files: name one, such as test.json"),
        (
            ("small", "--data", "tost.json", "--images", "."),
            "no such file or folder; did you mean test.json?",
        ),
        (("small", "--data", "absent.json", "--images", "."), "absent.json: no such file or folder"),
        (("small", "DATA", "--min-ap", "0.63"), "--min-ap 0.63: expected percent, 1 to 100"),
        (("small", "DATA", "--max-drop", "-1"), "--max-drop -1: expected points of percent"),
        (("small", "DATA", "--only", "ncnn-fp32", "--max-drop", "1"), "there is only one to measure"),
        (
            ("small", "DATA", "--only", "ncnn-fp16"),
            "nothing to measure has that backend: small has pytorch, onnx",
        ),
        (("small", "tiny", "DATA", "--only", "onnx"), "--only leaves nothing of tiny, which has ncnn-fp32"),
        (("small", "DATA", "--only", "tflite"), "tflite"),
        (("small", "DATA", "--score", "1.5"), "Invalid value for '--score'"),
        (("small", "./small", "DATA"), "is named more than once"),
        (("small", "DATA", "--arch", "thundernet-snet49"), "small is a bundle, which says itself what it is"),
        (("small", "DATA", "--out", "test.json"), "--out test.json: no folder can be made there"),
        (("absent.pocketdet", "DATA"), "absent.pocketdet: no such file; expected a checkpoint"),
        (("test.json", "DATA"), "test.json: "),
        (
            ("tiny", "DATA"),
            "tiny and test.json do not have the same classes: only test.json has 'washer', 'nut'",
        ),
    ],
)
def test_bad_input_is_one_sentence_and_nothing_written(
    command: Command,
    small_bundle: Path,
    tiny_bundle_template: Path,
    project: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    words: str,
) -> None:
    folder = Path(shutil.copytree(project, tmp_path / "here"))
    (folder / "small").symlink_to(small_bundle)
    (folder / "tiny").symlink_to(tiny_bundle_template)
    monkeypatch.chdir(folder)
    before = sorted(folder.rglob("*"))
    data = ("--data", "test.json", "--images", ".")
    given = [part for one in arguments for part in (data if one == "DATA" else (one,))]
    ending = command("val", *given)
    assert (ending.code, ending.out) == (2, "")
    assert words in ending.err
    assert "Traceback" not in ending.err
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize("package", ["pycocotools", "onnxsim"])
def test_missing_packages_are_named_first(
    command: Command, small_bundle: Path, project: Path, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == package else object())
    ending = command("val", small_bundle, *labelled(project))
    assert ending.code == 2
    assert f"needs {package}: pip install 'pocketdet[" in ending.err


def test_ctrl_c_ends_in_one_sentence_and_leaves_nothing(
    command: Command, small_bundle: Path, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Detector, "detect", interrupt)
    ending = command("val", small_bundle, *labelled(project), "--out", tmp_path / "new" / "out")
    assert (ending.code, ending.err) == (130, "error: interrupted\n")
    assert not list(tmp_path.iterdir())


def test_help_teaches_by_example_and_knows_every_form(command: Command) -> None:
    ending = command("val", "--help")
    assert ending.code == 0
    assert "Example: pocketdet val snet49.safetensors --data test.json --images photos/" in ending.out
    assert tuple(BackendName) == get_args(Backend)
