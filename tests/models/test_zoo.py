"""The weights that come with the project are what their card says."""

from pathlib import Path

import numpy as np
import pytest
import torch
from needs import SHARED_DATA

from pocketdet.datasets import Dataset, evenly_spaced, read_coco, read_stored_image
from pocketdet.datasets.scenes import kinds
from pocketdet.errors import UsageError
from pocketdet.evaluation import Detections, coco_accuracy
from pocketdet.models.build import config_of
from pocketdet.models.checkpoint import load_checkpoint, load_detector, read_card
from pocketdet.models.ops import box_iou
from pocketdet.models.postprocess import reference_stages
from pocketdet.models.thundernet import ThunderNet
from pocketdet.models.zoo import FOD, weights_file, zoo_names, zoo_weights
from pocketdet.models.zoo.figures import read_figures
from pocketdet.runtime.bundle import hash_file
from pocketdet.training.evaluation import detect

ROOT = Path(__file__).parents[2]
FOD_A = ROOT.parent / "shared" / "data" / "fod_a"


@pytest.fixture(scope="module")
def detector() -> ThunderNet:
    return load_checkpoint(zoo_weights(FOD))


def found_in(detector: ThunderNet, data: Dataset) -> list[Detections]:
    stages = [reference_stages(detector, read_stored_image(image.path)) for image in data.images]
    return [Detections(s.boxes.numpy(), s.scores.numpy(), s.labels.numpy()) for s in stages]


def test_every_detector_has_its_card_and_is_small() -> None:
    assert FOD in zoo_names()
    assert zoo_weights(FOD).stat().st_size < 5_000_000
    for name in zoo_names():
        path = zoo_weights(name)
        assert path.stat().st_size < 15_000_000  # a clone takes them all
        assert {"name", "data", "licence", "recipe", "seed", "accuracy"} <= set(read_card(path))
        assert read_card(path)["name"] == name
        assert name in path.with_suffix(".md").read_text(encoding="utf-8")
        figures = read_figures(name)
        assert figures, f"{name} has no figures: docs/guides/zoo.md says how they are written"
        assert figures.sha256 == hash_file(path).sha256
        assert {row.precision for row in figures.measured} >= {"fp32", "fp16"}
        assert {row.core for row in figures.modelled} in ({"cortex-a76", "cortex-a55"}, set())


def test_names_and_files_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert weights_file(Path(FOD)) == zoo_weights(FOD)
    assert weights_file(Path("other.pt")) == Path("other.pt")
    Path(FOD).touch()
    assert weights_file(Path(FOD)) == Path(FOD)
    assert weights_file(Path("runs/x")) == Path("runs/x")
    with pytest.raises(UsageError, match=f"no such file.*did you mean {FOD}"):
        weights_file(Path("thundernet-snet49-fad"))


def test_the_objects_of_the_demo_image_are_found(detector: ThunderNet) -> None:
    assert detector.config.class_names == kinds()
    data = read_coco(ROOT / "docs" / "images" / "scene.json", ROOT / "docs" / "images")
    (found,) = found_in(detector, data)
    iou = box_iou(torch.from_numpy(found.boxes), torch.from_numpy(data.images[0].boxes)).numpy()
    for place, label in enumerate(data.images[0].labels):
        there = np.flatnonzero(iou[:, place] >= 0.5)
        best = there[found.scores[there].argmax()]
        assert kinds()[found.labels[best]] == kinds()[label]
        assert found.scores[best] >= 0.35  # what `make demo` shows


@pytest.mark.slow
@pytest.mark.skipif(not FOD_A.is_dir(), reason=SHARED_DATA)
def test_accuracy_on_images_that_were_not_trained_on(detector: ThunderNet) -> None:
    data = evenly_spaced(read_coco(FOD_A / "test.json", FOD_A / "images"), 100)
    accuracy = coco_accuracy(data, found_in(detector, data))
    assert accuracy.ap > 0.6
    assert accuracy.ap50 > 0.8


@pytest.mark.slow
@pytest.mark.skipif(not FOD_A.is_dir(), reason=SHARED_DATA)
def test_accuracy_of_the_one_stage_detector() -> None:
    passd = load_detector(zoo_weights("passd-mobilenet-fod"))
    data = evenly_spaced(read_coco(FOD_A / "test.json", FOD_A / "images"), 70)
    assert config_of(passd).class_names == data.class_names
    accuracy = coco_accuracy(data, [detect(passd, read_stored_image(image.path)) for image in data.images])
    assert accuracy.ap > 0.48
    assert accuracy.ap50 > 0.74
