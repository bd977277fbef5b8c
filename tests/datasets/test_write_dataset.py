"""Rendered scenes come back as a dataset without problems."""

from pathlib import Path

import pytest

from pocketdet.datasets import check_dataset, read_coco
from pocketdet.datasets.scenes import kinds
from pocketdet.datasets.scenes.write_dataset import main, write_rendered
from pocketdet.errors import UsageError


def test_rendered_scenes_are_sound_data(tmp_path: Path) -> None:
    done = []
    path = write_rendered(tmp_path / "scenes", 5, 3, (96, 64), lambda: done.append(1))
    data = check_dataset(read_coco(path, path.parent))
    assert data.problems == ()
    assert data.class_names == kinds()
    assert [len(image.boxes) > 0 for image in data.images] == [True] * 4 + [False]
    assert {image.size for image in data.images} == {(96, 64)}
    assert len(done) == 5


def test_the_size_can_be_chosen(tmp_path: Path) -> None:
    out = tmp_path / "wide"
    assert main([str(out), "--count", "1", "--size", "96", "64"]) == 0
    assert read_coco(out / "scenes.json", out).images[0].size == (96, 64)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="file"):
        write_rendered(tmp_path / "file", 1, 0, (64, 64))
    assert main([str(tmp_path / "file"), "--count", "1"]) == 2
    assert capsys.readouterr().err.startswith("error: ")
