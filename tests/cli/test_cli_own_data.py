"""A dozen images of a user, as Pascal VOC and as YOLO: a recipe, a run, a bundle, its average precision."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import Ending, command
from own_data import NAMES, write_voc, write_yolo

from pocketdet.cli.export import labelled_images, metric_limit
from pocketdet.datasets.layout import AnnotatedData, DataSource
from pocketdet.errors import UsageError
from pocketdet.evaluation.report import AccuracyReport
from pocketdet.models.checkpoint import load_checkpoint
from pocketdet.runtime.bundle.load import load_bundle

__all__ = ["command"]

Command = Callable[..., Ending]
DATA_SOURCE_OPEN = DataSource.open
SMALL = {  # what the run needs to take seconds
    "input_size": "[64, 64]",
    "sizes": "[64]",
    "anchor_scales": "[16, 32]",
    "pre_nms": "32",
    "proposals": "16",
    "rois": "8",
    "jitter": "1",
    "batch": "4",
}


def shrink(recipe: Path) -> None:
    """Set the fields in `SMALL`, which the recipe has all."""
    text = recipe.read_text(encoding="utf-8")
    for name, value in SMALL.items():
        text, count = re.subn(rf"^{name} = .*$", f"{name} = {value}", text, flags=re.MULTILINE)
        assert count == 1
    recipe.write_text(text, encoding="utf-8")


def made(command: Command, folder: Path) -> Path:
    """The best weights of a run on the data in parts, from scratch, by a recipe that --init wrote."""
    ending = command("train", "--init", "parts", "--images-seen", 16, "--weights", "none")
    assert (ending.code, ending.err) == (0, "")
    assert "training: 8 images, 12 objects\nevaluation: 4 images, 4 objects\n3 classes: " in ending.out
    assert ending.out.endswith("wrote train.toml\nnext: pocketdet train train.toml\n")
    shrink(folder / "train.toml")
    ending = command("train", "train.toml")
    assert (ending.code, ending.err) == (0, "")
    assert "8 images, 12 objects, 3 classes" in ending.out
    assert "on all 4 images" in ending.out
    return Path("runs/parts/best.safetensors")


def evaluated(command: Command, target: Path, backend: str) -> AccuracyReport:
    """The report of `pocketdet val` on the data in parts."""
    arguments = ("--data", "parts", "--only", backend, "--out", "accuracy")
    ending = command("val", target, *arguments)
    assert (ending.code, ending.err) == (0, "")
    assert "all 4 images, 4 objects, 3 classes" in ending.out
    return AccuracyReport.model_validate_json(Path("accuracy/accuracy.json").read_bytes())


EACH = [(write_voc, tuple(sorted(NAMES))), (write_yolo, NAMES)]
LAYOUTS = pytest.mark.parametrize(("write", "order"), EACH, ids=["VOC", "YOLO"])


@LAYOUTS
def test_own_images_are_trained_and_evaluated(
    command: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    write: Callable[[Path], Path],
    order: tuple[str, ...],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("pocketdet.evaluation.write_curves", lambda *_: None)
    monkeypatch.setattr("pocketdet.evaluation.write_gallery", lambda *_: None)
    write(tmp_path / "parts")
    weights = made(command, tmp_path)
    assert load_checkpoint(weights).config.class_names == order
    data = evaluated(command, weights, "pytorch").data
    assert (data.file, data.split, set(data.class_names)) == ("parts", "val", set(NAMES))


@pytest.mark.parametrize("write", [write_voc, write_yolo])
def test_images_for_the_limit_of_int8_are_opened_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path], Path]
) -> None:
    opened = []

    def noted(source: DataSource) -> AnnotatedData:
        opened.append(source)
        return DATA_SOURCE_OPEN(source)

    monkeypatch.setattr(DataSource, "open", noted)
    labelled = labelled_images(1.0, write(tmp_path / "parts"), None, None)
    assert labelled is not None
    assert labelled.source.split == "val"
    limit = metric_limit(1.0, labelled, NAMES, 1)
    assert limit is not None
    assert limit.max_drop == 1.0
    assert len(opened) == 1
    with pytest.raises(UsageError, match="classes"):
        metric_limit(1.0, labelled, NAMES[:2], 1)


@pytest.mark.slow
@LAYOUTS
def test_own_images_are_trained_exported_and_evaluated(
    command: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    write: Callable[[Path], Path],
    order: tuple[str, ...],
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "parts")
    ending = command("export", made(command, tmp_path), "--out", "bundles", "--name", "parts")
    assert (ending.code, ending.err) == (0, "")
    bundle = Path("bundles/parts.pocketdet")
    with load_bundle(bundle) as loaded:
        assert loaded.manifest.class_names == order
    assert evaluated(command, bundle, "ncnn-fp32").data.pictures == 4
