"""From the official archives of VOC and COCO, as small stand-ins, to an entry of the zoo."""

import json
import re
import shutil
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from command_line import Ending, command

from pocketdet import training
from pocketdet.datasets import VOC_CLASSES
from pocketdet.evaluation import zoo_entry
from pocketdet.models.checkpoint import load_checkpoint, read_card

__all__ = ["command"]

Command = Callable[..., Ending]
RECIPES = Path(training.__file__).parent / "recipes"
SMALL = """
input_size = [64, 64]
anchor_scales = [16, 32]
[schedule]
images = 8
batch = 4
sizes = [64]
[losses]
pre_nms = 32
proposals = 16
rois = 8
ohem = 4
"""
EACH = 4  # objects in an image
XML = """<annotation><filename>{stem}.jpg</filename>
<size><width>96</width><height>64</height><depth>3</depth></size>{objects}</annotation>"""
OBJECT = """<object><name>{name}</name><pose>Unspecified</pose><difficult>0</difficult>
<bndbox><xmin>{x1}</xmin><ymin>9</ymin><xmax>{x2}</xmax><ymax>40</ymax></bndbox></object>"""


def write_image(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (64, 96, 3), np.uint8)
    assert cv2.imwrite(str(path), pixels)


def archive_voc(folder: Path, year: int, split: str, count: int) -> Path:
    """A tar of the VOC development kit with `count` images, and the lists of one split."""
    root = folder / "made" / "VOCdevkit" / f"VOC{year}"
    for part in ("Annotations", "ImageSets/Main"):
        (root / part).mkdir(parents=True)
    stems = [f"{split}{index:06d}" for index in range(count)]
    for index, stem in enumerate(stems):
        write_image(root / "JPEGImages" / f"{stem}.jpg", index)
        names = [VOC_CLASSES[(EACH * index + k) % len(VOC_CLASSES)] for k in range(EACH)]
        objects = "".join(OBJECT.format(name=n, x1=2 + 23 * k, x2=21 + 23 * k) for k, n in enumerate(names))
        (root / "Annotations" / f"{stem}.xml").write_text(XML.format(stem=stem, objects=objects))
    (root / "ImageSets/Main" / f"{split}.txt").write_text("\n".join(stems) + "\n")
    of_class = "\n".join(f"{stem} -1" for stem in stems)  # as the archives have it for each class
    (root / "ImageSets/Main" / f"aeroplane_{split}.txt").write_text(of_class)
    path = folder / f"VOC{split}_{year}.tar"
    with tarfile.open(path, "w") as archive:
        archive.add(folder / "made" / "VOCdevkit", "VOCdevkit")
    shutil.rmtree(folder / "made")
    return path


def archive_coco(folder: Path, names: tuple[str, ...]) -> Iterator[Path]:
    """The zip of the annotations and those of the images, two images each."""
    for split in ("train2017", "val2017"):
        images, entries = [], []
        for index in range(2):
            file = f"{index:012d}.jpg"
            write_image(folder / split / file, index)
            images.append({"id": index, "file_name": file, "width": 96, "height": 64})
            for k in range(EACH):
                box = [2 + 23 * k, 9, 19, 31]
                entry = {"image_id": index, "category_id": 1 + k, "bbox": box, "area": 589, "iscrowd": 0}
                entries.append({"id": len(entries) + 1, "segmentation": [], **entry})
        categories = [{"id": 1 + k, "name": name} for k, name in enumerate(names)]
        content = {"info": {}, "images": images, "annotations": entries, "categories": categories}
        with zipfile.ZipFile(folder / f"{split}.zip", "w") as archive:
            for path in sorted((folder / split).iterdir()):
                archive.write(path, f"{split}/{path.name}")
        shutil.rmtree(folder / split)
        yield folder / f"{split}.zip"
        with zipfile.ZipFile(folder / "annotations_trainval2017.zip", "a") as archive:
            archive.writestr(f"annotations/instances_{split}.json", json.dumps(content))
    yield folder / "annotations_trainval2017.zip"


def small_recipe(name: str, folder: Path) -> Path:
    """A recipe of the project with few steps of small images, of the smallest backbone."""
    text = (RECIPES / name).read_text(encoding="utf-8").replace("thundernet-snet146", "thundernet-snet49")
    top, tables = text.split("[[data]]", 1)
    above, below = SMALL.split("[schedule]", 1)
    text = f"{top}{above}[[data]]{tables}\n[schedule]{below}"
    text, count = re.subn(r"^(every|limit) = .*$", r"\1 = 2", text, flags=re.MULTILINE)
    assert count == 2
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def entry(run: Path, name: str, accuracy: str, out: Path) -> int:
    words = [run, "--name", name, "--data", "a stand-in", "--licence", "none", "--recipe", f"{name}.toml"]
    return zoo_entry.main([str(word) for word in (*words, "--accuracy", accuracy, "--out", out)])


@pytest.mark.slow
@pytest.mark.nightly  # test_cli_own_data trains on such folders in every run
def test_from_the_archives_of_voc_to_a_card(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for year, split, count in ((2007, "trainval", 5), (2012, "trainval", 6), (2007, "test", 5)):
        with tarfile.open(archive_voc(tmp_path, year, split, count)) as archive:
            archive.extractall(tmp_path, filter="data")
    ending = command("train", small_recipe("paper_voc.toml", tmp_path))
    assert (ending.code, ending.err) == (0, "")
    assert "11 images, 44 objects, 20 classes" in ending.out
    weights = Path("runs/voc/weights.safetensors")
    test = ("--data", "VOCdevkit/VOC2007", "--split", "test")
    assert command("export", weights, "--out", "bundles").code == 0
    ending = command("val", "bundles/thundernet-snet49.pocketdet", *test, "--only", "ncnn-fp32")
    assert (ending.code, ending.err) == (0, "")
    assert "all 5 images, 20 objects, 20 classes" in ending.out
    assert command("val", weights, *test, "--only", "pytorch", "--out", "accuracy").code == 0
    assert entry(weights.parent, "snet49-voc", "accuracy/accuracy.json", tmp_path) == 0
    card = read_card(tmp_path / "snet49-voc.safetensors")
    assert {"name", "data", "licence", "recipe", "seed", "accuracy"} <= set(card)
    assert (card["name"], card["images seen"]) == ("snet49-voc", "8")
    assert load_checkpoint(tmp_path / "snet49-voc.safetensors").config.class_names == VOC_CLASSES
    page = (tmp_path / "snet49-voc.md").read_text(encoding="utf-8")
    assert "a VOC mAP of 70.1 on the test set of VOC 2007 (Table 2)" in page
    assert "It was not reproduced here." in page
    assert "| PyTorch |" in page
    assert "| 8 | 2 |" in page  # the curve
    save = tmp_path / "accuracy/accuracy.json"
    save.write_text(save.read_text().replace('"sha256": "', '"sha256": "f')[:-1])
    capsys.readouterr()
    assert entry(weights.parent, "other", str(save), tmp_path) == 2
    assert "cannot be read as accuracy.json" in capsys.readouterr().err
    assert not (tmp_path / "other.md").exists()


@pytest.mark.slow
@pytest.mark.nightly  # test_cli_own_data trains on such folders in every run
def test_from_the_archives_of_coco_to_a_card(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names = tuple(f"class {k}" for k in range(80))
    for path in archive_coco(tmp_path, names):
        with zipfile.ZipFile(path) as archive:
            archive.extractall(tmp_path / "coco")
    ending = command("train", small_recipe("paper_coco.toml", tmp_path))
    assert (ending.code, ending.err) == (0, "")
    assert "2 images, 8 objects, 80 classes" in ending.out
    weights = Path("runs/coco/weights.safetensors")
    data = ("--data", "coco/annotations/instances_val2017.json", "--images", "coco/val2017")
    assert command("val", weights, *data, "--only", "pytorch", "--out", "accuracy").code == 0
    assert entry(weights.parent, "snet49-coco", "accuracy/accuracy.json", tmp_path) == 0
    page = (tmp_path / "snet49-coco.md").read_text(encoding="utf-8")
    assert "AP 19.2, AP50 33.7 and AP75 19.7 on COCO test-dev (Table 3)" in page
