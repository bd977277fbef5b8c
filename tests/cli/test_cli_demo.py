"""`pocketdet demo`, once, as a user starts it."""

import re
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from command_line import PATIENCE, Ending, command, process

from pocketdet.runtime.bundle import load_bundle
from pocketdet.runtime.bundle.two_stage import TwoStageManifest
from pocketdet.runtime.pipeline import TWO_STAGE_STAGES as STAGES

__all__ = ["command"]

SCENE = Path(__file__).parents[2] / "docs" / "images" / "scene.jpg"


@pytest.mark.slow
def test_demo_exports_verifies_detects_and_times(tmp_path: Path) -> None:
    image = np.random.default_rng(2).integers(0, 256, (12, 16, 3), np.uint8)
    cv2.imwrite(str(tmp_path / "my photo.png"), cv2.resize(image, (320, 240)))
    out = tmp_path / "made by demo"
    child = process("demo", "--image", tmp_path / "my photo.png", "--out", out)
    text, errors = child.communicate(timeout=PATIENCE)
    assert (child.returncode, errors) == (0, "")
    assert sorted(p.name for p in out.iterdir()) == ["detections.jpg", "thundernet-snet49.pocketdet"]
    annotated = cv2.imread(str(out / "detections.jpg"))
    assert annotated is not None
    assert annotated.shape == (240, 320, 3)
    with load_bundle(out / "thundernet-snet49.pocketdet") as bundle:
        assert bundle.golden()["image"].shape == (240, 320, 3)
        assert isinstance(bundle.manifest, TwoStageManifest)
        assert not bundle.manifest.postprocessing.per_class
    plain = re.sub(r"\s+", " ", text)
    assert "thundernet-snet49-fod: thundernet-snet49, 31 classes: AdjustableClamp, " in plain
    assert "accuracy: AP " in plain
    assert "-[x]" not in text
    assert "stage checks hold" in text
    for stage in (*STAGES, "post-processing", "total"):
        assert stage in text
    assert re.search(r"\d+\.\d fps on this machine", text)
    for step in ("verify", "detect", "info"):
        assert f"{step} '{out}/thundernet-snet49.pocketdet'" in text


@pytest.mark.slow
def test_the_objects_of_the_scene_are_listed(command: Callable[..., Ending], tmp_path: Path) -> None:
    ending = command("demo", "--image", SCENE, "--out", tmp_path)
    assert ending.code == 0
    found = ending.out.partition("4  detect")[2].partition("5  time")[0]
    for name in ("Wrench", "Hammer", "Pliers", "SodaCan", "Bolt", "Nut", "Battery", "Screwdriver"):
        assert name in found
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((8, 8, 3), np.uint8))
    both = command("demo", "--image", tmp_path / "a.png", "--arch", "x", "--weights", "y", "--out", tmp_path)
    assert both.code == 2
    assert "--arch uses random weights: remove --weights y" in both.err


def test_an_invalid_image_stops_before_the_export(command: Callable[..., Ending], tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no image")
    ending = command("demo", "--image", tmp_path / "notes.txt", "--out", tmp_path / "out")
    assert (ending.code, ending.out) == (2, "")
    assert "notes.txt: expected a " in ending.err
    assert not (tmp_path / "out").exists()


def test_an_unknown_architecture_names_the_nearest(command: Callable[..., Ending], tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((8, 8, 3), np.uint8))
    ending = command("demo", "--image", tmp_path / "a.png", "--arch", "thundernet-snet48", "--out", tmp_path)
    assert ending.code == 2
    assert "thundernet-snet49" in ending.err


def test_demo_of_a_one_stage_architecture(command: Callable[..., Ending], tmp_path: Path) -> None:
    size = ("--input-size", "64x96", "--classes", 3)
    ending = command("demo", "--image", SCENE, "--arch", "passd-mobilenet", *size, "--out", tmp_path)
    assert ending.code == 0
    assert "times are valid, detections are not" in ending.out
    with load_bundle(tmp_path / "passd-mobilenet.pocketdet") as bundle:
        manifest = bundle.manifest
    assert (manifest.detector, manifest.input.height, manifest.input.width) == ("one-stage", 64, 96)
    assert len(manifest.class_names) == 3
    for stage in ("preprocess", "model", "boxes", "total"):
        assert stage in ending.out.partition("5  time")[2]
