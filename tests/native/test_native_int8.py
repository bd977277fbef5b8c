"""An int8 bundle in pocketdet-run: what Python finds, here and on emulated ARM processors."""

from collections.abc import Callable
from pathlib import Path

import cv2
import pytest
from native_runner import Runner
from overflowing import overflowing
from same_detections import difference, found_in

from pocketdet.export import ExportOptions, export_detector
from pocketdet.models.checkpoint import load_checkpoint
from pocketdet.models.zoo import FOD, zoo_weights
from pocketdet.runtime.detector import Detector
from pocketdet.runtime.images import read_image


@pytest.fixture(scope="module")
def scenes(scene_files: list[Path], tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """As PNG, which both sides read."""
    folder = tmp_path_factory.mktemp("scenes")
    for path in scene_files:
        cv2.imwrite(str(folder / f"{path.stem}.png"), cv2.imread(str(path)))
    return sorted(folder.iterdir())


def exported(scenes: list[Path], folder: Path, place: str | None) -> Path:
    model = load_checkpoint(zoo_weights(FOD), input_size=(96, 96))
    if place is not None:
        model = overflowing(model, place)
    options = ExportOptions(name="int8", precision="int8", calibration=tuple(scenes))
    return export_detector(model, folder, options).path


@pytest.fixture(scope="module")
def int8_bundle(scenes: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported(scenes, tmp_path_factory.mktemp("int8"), None)


def test_it_finds_what_python_finds(runner: Runner, int8_bundle: Path, scenes: list[Path]) -> None:
    document = runner.json("verify", int8_bundle)
    assert document["ok"] is True
    assert document["bundle"]["weight_storage"] == "int8"
    with Detector(int8_bundle, engine="ncnn") as detector:
        for path, found in zip(scenes, runner.json("detect", int8_bundle, *scenes)["images"], strict=True):
            expected = detector.detect(read_image(path))
            assert [d["box"] for d in found["detections"]] == [
                pytest.approx(box.tolist(), abs=1e-3) for box in expected.boxes
            ]
            assert [d["label"] for d in found["detections"]] == expected.labels.tolist()


@pytest.mark.parametrize("cpu", ["cortex-a57", "cortex-a76", "max"])
def test_arm_finds_what_x86_finds(
    arm_runner: Callable[[str], Runner],
    runner: Runner,
    int8_bundle: Path,
    scenes: list[Path],
    cpu: str,
) -> None:
    """cortex-a57 has no dot products, a76 has them, max has int8 matrices: three kernels, one answer."""
    fp32 = ("--precision", "fp32")  # of the other layers
    assert arm_runner(cpu).json("verify", int8_bundle, *fp32)["ok"] is True
    here = found_in(runner.json("detect", int8_bundle, *scenes))
    there = found_in(arm_runner(cpu).json("detect", int8_bundle, *scenes, *fp32))
    differs = difference(here, there, pixels=0.1, score=1e-3)
    assert differs.lost == 0, differs
    assert differs.total > 50


@pytest.mark.parametrize("place", [None, "a branch of the backbone"])
def test_other_layers_compute_in_half_precision(
    arm_runner: Callable[[str], Runner],
    int8_bundle: Path,
    scenes: list[Path],
    tmp_path: Path,
    place: str | None,
) -> None:
    path = int8_bundle if place is None else exported(scenes, tmp_path, place)
    document = arm_runner("cortex-a76").json("verify", path)
    assert document["engine"]["precision"] == "fp16"
    assert document["ok"] is True
