"""A packed dataset has the same objects on smaller images."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from own_data import NAMES, write_coco, write_voc

from pocketdet.datasets import check_dataset, pack, read_coco
from pocketdet.datasets.layout import DataSource, read_source
from pocketdet.errors import UsageError


def test_images_shrink_and_their_boxes_with_them(tmp_path: Path) -> None:
    source = write_voc(tmp_path / "parts")
    assert (
        pack.main([str(source), "--split", "train", "--out", str(tmp_path / "packed"), "--side", "32"]) == 0
    )
    given = read_source(DataSource(source, split="train"))
    packed = read_coco(tmp_path / "packed" / "annotations.json", tmp_path / "packed" / "images")
    assert check_dataset(packed).problems == ()
    assert packed.class_names == given.class_names == tuple(sorted(NAMES))
    assert len(packed.images) == len(given.images) == 8
    for one, before in zip(packed.images, given.images, strict=True):
        assert (before.size, one.size) == ((64, 48), (32, 24))
        assert cv2.imread(str(one.path)).shape[:2] == (24, 32)
        np.testing.assert_allclose(one.boxes, before.boxes / 2, atol=0.02)
        np.testing.assert_array_equal(one.labels, before.labels)


def test_small_images_keep_their_size(tmp_path: Path) -> None:
    root = write_coco(tmp_path / "parts")
    before = read_coco(root / "annotations" / "instances_train.json", root / "train")
    packed = pack.pack(before, tmp_path / "packed")
    again = read_coco(packed, packed.parent / "images")
    assert {one.size for one in again.images} == {(64, 48)}


def test_bad_input_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write_voc(tmp_path / "parts")
    words = [str(source), "--split", "train", "--out", str(tmp_path / "packed")]
    assert pack.main([*words, "--side", "8"]) == 2
    assert "--side 8: expected at least 32 pixels" in capsys.readouterr().err
    assert pack.main([str(tmp_path / "none"), "--out", str(tmp_path / "packed")]) == 2
    assert not (tmp_path / "packed").exists()
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="no folder can be made"):
        pack.pack(read_source(DataSource(source, split="train")), tmp_path / "file")
