"""A dozen images of a user, as Pascal VOC and as YOLO: a recipe, a run, a bundle, its average precision."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import Ending, command
from own_data import NAMES, write_voc, write_yolo

from pocketdet.evaluation.report import AccuracyReport
from pocketdet.models.checkpoint import load_checkpoint
from pocketdet.runtime import load_bundle

__all__ = ["command"]

Command = Callable[..., Ending]
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


@pytest.mark.parametrize(("write", "order"), [(write_voc, tuple(sorted(NAMES))), (write_yolo, NAMES)])
def test_from_own_images_to_average_precision(
    command: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    write: Callable[[Path], Path],
    order: tuple[str, ...],
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "parts")
    ending = command("train", "--init", "parts", "--images-seen", 16, "--weights", "none")
    assert (ending.code, ending.err) == (0, "")
    assert "training: 8 images, 12 objects\nevaluation: 4 images, 5 objects\n" in ending.out
    assert f"3 classes: {', '.join(order)}\n" in ending.out
    assert ending.out.endswith("wrote train.toml\nnext: pocketdet train train.toml\n")
    shrink(tmp_path / "train.toml")

    ending = command("train", "train.toml")
    assert (ending.code, ending.err) == (0, "")
    assert "8 images, 12 objects, 3 classes" in ending.out
    assert "on all 4 images" in ending.out
    weights = Path("runs/parts/best.safetensors")
    assert load_checkpoint(weights).config.class_names == order

    ending = command("export", weights, "--out", "bundles", "--name", "parts")
    assert (ending.code, ending.err) == (0, "")
    with load_bundle("bundles/parts.pocketdet") as bundle:
        assert bundle.manifest.class_names == order

    only = ("--only", "ncnn-fp32", "--out", "accuracy")
    ending = command("val", "bundles/parts.pocketdet", "--data", "parts", *only)
    assert (ending.code, ending.err) == (0, "")
    assert "all 4 images, 5 objects, 3 classes" in ending.out
    report = AccuracyReport.model_validate_json(Path("accuracy/accuracy.json").read_bytes())
    assert (report.data.file, report.data.split, set(report.data.class_names)) == ("parts", "val", set(NAMES))
