"""Sample images and weights for tests of `pocketdet val`; import the fixtures that a file uses."""

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from pocketdet.models.checkpoint import save_checkpoint
from pocketdet.models.thundernet import ThunderNet
from pocketdet.runtime.detector import Detector

ORDER = ("washer", "bolt", "nut")  # of the data; the detector has bolt, nut, washer
VOC = """<annotation><filename>{stem}.png</filename><size><width>64</width><height>48</height></size>
<object><name>{name}</name><difficult>0</difficult>
<bndbox><xmin>9</xmin><ymin>9</ymin><xmax>38</xmax><ymax>32</ymax></bndbox></object></annotation>"""


@pytest.fixture(scope="module")
def weights(small_model: ThunderNet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    save_checkpoint(path, small_model)
    return path


@pytest.fixture(scope="module")
def project(small_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four images in COCO json, labelled with what the detector itself finds best, and something else."""
    folder = tmp_path_factory.mktemp("project")
    rng = np.random.default_rng(5)
    images, entries = [], []
    with Detector(small_bundle, engine="ncnn") as detector:
        for index in range(4):
            pixels = rng.integers(0, 256, (48, 64, 3), np.uint8)
            cv2.imwrite(str(folder / f"{index}.png"), pixels[..., ::-1])
            images.append({"id": index, "file_name": f"{index}.png", "width": 64, "height": 48})
            found = detector.detect(pixels)
            labelled = [(found.boxes[0].tolist(), found.names[0]), ([2.0, 3.0, 60.0, 40.0], "washer")]
            for (x1, y1, x2, y2), name in labelled[: 1 + index % 2]:
                box = [x1, y1, x2 - x1, y2 - y1]
                entry = {"image_id": index, "category_id": 10 + ORDER.index(name), "bbox": box}
                entries.append({"id": len(entries), **entry})
    categories = [{"id": 10 + k, "name": name} for k, name in enumerate(ORDER)]
    content = {"images": images, "annotations": entries, "categories": categories}
    (folder / "test.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


def labelled(project: Path) -> tuple[object, ...]:
    return "--data", project / "test.json", "--images", project


@pytest.fixture(scope="module")
def voc(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The images of the project as a Pascal VOC folder, a bolt in each."""
    root = tmp_path_factory.mktemp("voc")
    for part in ("Annotations", "ImageSets/Main", "JPEGImages"):
        (root / part).mkdir(parents=True)
    for stem in "0123":
        shutil.copy(project / f"{stem}.png", root / "JPEGImages")
        text = VOC.format(stem=stem, name="bolt")
        (root / "Annotations" / f"{stem}.xml").write_text(text, encoding="utf-8")
    (root / "ImageSets/Main/test.txt").write_text("0\n1\n2\n3\n", encoding="utf-8")
    return root
