"""`pocketdet val --zoo` measures each detector of the zoo once, and again when something has changed."""

from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import Ending, command
from val_project import labelled, project, weights

from pocketdet.cli import val_zoo
from pocketdet.errors import CheckFailed
from pocketdet.evaluation.report import AccuracyReport
from pocketdet.models.checkpoint import load_checkpoint, save_checkpoint

__all__ = ["command", "project", "weights"]

Command = Callable[..., Ending]


@pytest.fixture
def measured(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A zoo of two detectors; grows by the name of each that is measured."""
    files = {"one-net": weights, "other-net": tmp_path / "other.safetensors"}
    save_checkpoint(files["other-net"], load_checkpoint(weights))
    monkeypatch.setattr(val_zoo, "zoo_names", lambda: tuple(files))
    monkeypatch.setattr(val_zoo, "zoo_weights", files.__getitem__)
    done: list[str] = []
    measure = val_zoo.measure

    def noted(bar: object, target: object, *rest: object) -> object:
        done.append(target.path.stem)  # type: ignore[attr-defined]
        return measure(bar, target, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(val_zoo, "measure", noted)
    return done


def rows(ending: Ending) -> list[list[str]]:
    return [line.split() for line in ending.out.splitlines() if line.startswith(("one-net", "other-net"))]


def test_results_are_kept(command: Command, project: Path, measured: list[str], tmp_path: Path) -> None:
    words = ("val", "--zoo", *labelled(project), "--only", "pytorch", "--out", tmp_path / "accuracy")
    first = command(*words)
    assert (first.code, first.err, measured) == (0, "", ["small", "other"])
    report = AccuracyReport.model_validate_json((tmp_path / "accuracy" / "one-net.json").read_bytes())
    assert [(row.target, row.form) for row in report.subjects] == [("one-net", "pytorch")]
    again = command(*words)
    assert measured == ["small", "other"]
    table, same = (rows(one) for one in (first, again))
    assert table == same
    assert [row[:2] for row in table] == [["one-net", "PyTorch"], ["other-net", "PyTorch"]]
    (tmp_path / "accuracy" / "other-net.json").write_text("damaged")
    command(*words)
    assert measured == ["small", "other", "other"]
    model = load_checkpoint(tmp_path / "other.safetensors")
    model.head.fc.bias.data += 0.01
    save_checkpoint(tmp_path / "other.safetensors", model)
    command(*words)
    assert measured == ["small", "other", "other", "other"]
    assert command(*words, "--min-ap", 100).code == 1


def test_a_form_that_fails_leaves_the_others(
    command: Command, project: Path, measured: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measure = val_zoo.measure

    def failing(bar: object, target: object, forms: list[str], *rest: object) -> object:
        if forms == ["onnx"] and target.path.stem == "other":  # type: ignore[attr-defined]
            raise CheckFailed("other-net: a check failed")
        return measure(bar, target, forms, *rest)  # type: ignore[arg-type]

    words = ("val", "--zoo", *labelled(project), "--only", "pytorch", "--only", "onnx", "--out", tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(val_zoo, "measure", failing)
        ending = command(*words)
    assert (ending.code, measured) == (1, ["small", "small", "other"])
    assert "other-net ONNX could not be measured: other-net: a check failed" in ending.err
    table = [row[:3] for row in rows(ending)]
    assert [row[:2] for row in table] == [
        ["one-net", "PyTorch"],
        ["one-net", "ONNX"],
        ["other-net", "PyTorch"],
        ["other-net", "ONNX"],
    ]
    assert table[-1][2] == "failed"
    report = AccuracyReport.model_validate_json((tmp_path / "other-net.json").read_bytes())
    assert [row.form for row in report.subjects] == ["pytorch"]
    assert [(one.form, one.reason) for one in report.failed] == [("onnx", "other-net: a check failed")]
    assert command(*words).code == 0
    assert measured == ["small", "small", "other", "other"]
    report = AccuracyReport.model_validate_json((tmp_path / "other-net.json").read_bytes())
    assert ([row.form for row in report.subjects], report.failed) == (["pytorch", "onnx"], ())


def test_nothing_but_failures_is_an_error(
    command: Command, project: Path, measured: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*anything: object) -> object:
        raise CheckFailed("a check failed")

    monkeypatch.setattr(val_zoo, "measure", failing)
    ending = command("val", "--zoo", *labelled(project), "--only", "pytorch", "--out", tmp_path)
    assert (ending.code, measured) == (1, [])
    assert "one-net PyTorch could not be measured: a check failed; other-net PyTorch" in ending.err
    assert not list(tmp_path.glob("*-net.json"))


def test_what_belongs_to_targets_is_refused(
    command: Command, project: Path, weights: Path, tmp_path: Path
) -> None:
    every = ("val", "--zoo", *labelled(project))
    for words, sentence in (
        ((*every,), "--zoo needs --out DIR"),
        ((*every, weights, "--out", tmp_path), "TARGET is for named targets: leave it out with --zoo"),
        ((*every, "--out", tmp_path, "--per-class"), "--per-class is for named targets"),
        ((*every, "--out", tmp_path, "--score", 0), "--score is for named targets"),
        ((*every, "--out", tmp_path, "--only", "ncnn-int8"), "--only ncnn-int8 needs --calib DIR"),
        (("val", *labelled(project)), "nothing to measure"),
        (("val", weights, *labelled(project), "--calib", tmp_path), "--calib is for --zoo"),
    ):
        ending = command(*words)
        assert (ending.code, sentence in ending.err) == (2, True), ending.err
