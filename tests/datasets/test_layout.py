"""The layout of a folder is recognised; what could be two, or is none, is refused."""

import errno
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from own_data import NAMES, dozen, write_coco, write_voc, write_yolo

from pocketdet.datasets import Dataset, DataSource, check_dataset, keep_sound, read_source, read_sources
from pocketdet.datasets.layout import find_own_data
from pocketdet.datasets.voc import VocFolder
from pocketdet.errors import UsageError


def summary(dataset: Dataset) -> list[tuple[str, list[list[float]], list[str]]]:
    names = dataset.class_names
    return [
        (image.path.stem, image.boxes.round(3).tolist(), [names[label] for label in image.labels])
        for image in dataset.images
    ]


def flat_voc(root: Path) -> Path:
    """XML files beside the images, in a folder for each split."""
    source = write_voc(root.with_name("source"))
    for split in ("train", "val"):
        (root / split).mkdir(parents=True)
        for stem in (source / "ImageSets" / "Main" / f"{split}.txt").read_text().split():
            shutil.copy(source / "JPEGImages" / f"{stem}.png", root / split)
            shutil.copy(source / "Annotations" / f"{stem}.xml", root / split)
    shutil.rmtree(source)
    return root


def by_split(root: Path) -> Path:
    """SPLIT/images and SPLIT/labels, with data.yaml as Roboflow writes it."""
    source = write_yolo(root.with_name("source"))
    for split in ("train", "val"):
        for part in ("images", "labels"):
            shutil.copytree(source / part / split, root / split / part)
    text = f"train: ../train/images\nval: ../val/images\nnc: 3\nnames: {list(NAMES)}\n"
    (root / "data.yaml").write_text(text, encoding="utf-8")
    return root


@pytest.mark.parametrize(
    "write",
    [write_voc, flat_voc, write_yolo, lambda root: write_yolo(root, yaml=False), by_split, write_coco],
    ids=["VOC devkit", "VOC flat", "data.yaml", "classes.txt", "Roboflow", "COCO"],
)
def test_every_layout_gives_the_same_dozen(tmp_path: Path, write) -> None:
    own = find_own_data(write(tmp_path / "data"))
    assert own.evaluation is not None
    parts = read_sources([own.training, own.evaluation])
    assert set(parts[0].class_names) == set(NAMES)
    assert parts[0].class_names == parts[1].class_names
    found = [row for part in parts for row in summary(keep_sound(check_dataset(part), skip_bad=False))]
    expected = [
        (one.stem, [list(map(float, box)) for box in one.boxes], [NAMES[k] for k in one.labels])
        for one in dozen()
    ]
    assert found == expected
    assert len(parts[0].images) == 8


def test_folders_without_splits(tmp_path: Path) -> None:
    voc = write_voc(tmp_path / "voc", lists=False)
    own = find_own_data(voc)
    assert (own.training, own.evaluation) == (DataSource(voc), None)
    assert len(read_source(own.training).images) == 12
    with pytest.raises(UsageError, match="no split 'train': it has none; leave the split out"):
        read_source(DataSource(voc, split="train"))
    flat = tmp_path / "flat"
    flat.mkdir()
    for path in (tmp_path / "voc").glob("*/*"):
        shutil.copy(path, flat)
    assert summary(read_source(DataSource(flat))) == summary(read_source(DataSource(voc)))


def test_lists_of_the_devkit_by_class_are_no_splits(tmp_path: Path) -> None:
    root = write_voc(tmp_path / "voc")
    for name in ("crate_train", "crate_val", "my_split"):
        (root / "ImageSets" / "Main" / f"{name}.txt").write_text("photo00 1\n", encoding="utf-8")
    found = VocFolder.open(root)
    assert found is not None
    assert found.splits == ("my_split", "train", "val")
    with pytest.raises(UsageError, match="name a split; it has my_split, train, val"):
        read_source(DataSource(root))


def test_an_image_of_another_suffix_than_the_xml_says(tmp_path: Path) -> None:
    root = write_voc(tmp_path / "voc")
    path = root / "Annotations" / "photo00.xml"
    path.write_text(path.read_text().replace("photo00.png", "IMG_1234.jpg"), encoding="utf-8")
    dataset = read_source(DataSource(root, split="train"))
    assert dataset.images[0].path == root / "JPEGImages" / "photo00.png"


def test_classes_of_several_sources(tmp_path: Path) -> None:
    voc, yolo = write_voc(tmp_path / "voc"), write_yolo(tmp_path / "yolo")
    pair = [DataSource(voc, split="train"), DataSource(yolo, split="train")]
    assert [each.class_names for each in read_sources(pair)] == [NAMES, NAMES]
    alone = read_sources([DataSource(voc, split="train"), DataSource(voc, split="val")])
    assert [each.class_names for each in alone] == [("barrel", "crate", "pallet")] * 2
    order = ("pallet", "crate", "barrel", "drum")
    given = read_sources(pair, order)
    assert [each.class_names for each in given] == [order, order]
    np.testing.assert_array_equal(given[0].images[0].labels, given[1].images[0].labels)
    lacking = read_sources(pair, ("crate", "pallet", "barel"))
    hints = [str(each.problems[0]).partition("; ")[2] for each in lacking]
    assert hints == ["did you mean barel?"] * 2


def test_two_layouts_in_one_folder_are_refused_and_can_be_named(tmp_path: Path) -> None:
    root = write_yolo(tmp_path / "both")
    voc = write_voc(tmp_path / "voc")
    shutil.copytree(voc / "Annotations", root / "Annotations")
    shutil.copytree(voc / "JPEGImages", root / "JPEGImages")
    with pytest.raises(UsageError) as raised:
        read_source(DataSource(root))
    text = str(raised.value)
    assert f"name the folder {root / 'Annotations'} (Pascal VOC), or {root / 'data.yaml'} (YOLO)" in text
    assert len(read_source(DataSource(root / "Annotations")).images) == 12
    assert len(read_source(DataSource(root / "data.yaml", split="val")).images) == 4
    assert len(read_source(DataSource(root / "labels", split="val")).images) == 4


def test_a_folder_that_cannot_be_read_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "iterdir", refused)
    with pytest.raises(UsageError, match="cannot be read: Permission denied"):
        read_source(DataSource(tmp_path))


def test_what_is_no_data_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "notes.md").touch()
    os.mkfifo(tmp_path / "pipe")
    coco = write_coco(tmp_path / "coco")
    for path, words in (
        (tmp_path / "coca", "no such file or folder; did you mean coco?"),
        (tmp_path / "x" / "y" / "z", f"{tmp_path / 'x'} does not exist"),
        (tmp_path / "pipe", "no such file or folder"),
        (tmp_path / "notes.md", "expected a COCO json file, a data.yaml"),
        (coco / "train", "no annotations found: expected a Pascal VOC folder"),
        (coco / "annotations" / "instances_train.json", "needs images"),
        (coco, "has COCO files: name one, such as"),
    ):
        with pytest.raises(UsageError) as raised:
            read_source(DataSource(path))
        assert str(raised.value).startswith(f"{path}: ")
        assert words in str(raised.value)
    with pytest.raises(UsageError, match="is a folder: with a folder of images, a COCO json file"):
        read_source(DataSource(coco, coco))


def test_parts_to_train_and_measure_on(tmp_path: Path) -> None:
    coco = write_coco(tmp_path / "coco")
    train = coco / "annotations" / "instances_train.json"
    own = find_own_data(train)
    assert own == find_own_data(coco)
    assert own.training == DataSource(train, coco / "train")
    (coco / "train").rename(coco / "pictures")
    with pytest.raises(UsageError, match=r"such as photo00\.png, are not found"):
        find_own_data(coco)
    root = write_voc(tmp_path / "voc")
    (root / "ImageSets" / "Main" / "train.txt").rename(root / "ImageSets" / "Main" / "one.txt")
    with pytest.raises(UsageError, match="has the parts one, val: expected one called train"):
        find_own_data(root)
