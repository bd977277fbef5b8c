"""Images that cannot be used are found before training, all in one report."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from pocketdet.datasets import Dataset, Problem, check_dataset, keep_sound, read_stored_image
from pocketdet.datasets.records import ImageAnnotations, image_annotations, report
from pocketdet.errors import ImageError, UsageError


def image_file(folder: Path, name: str) -> Path:
    rng = np.random.default_rng(len(name))
    path = folder / name
    cv2.imwrite(str(path), rng.integers(0, 256, (30, 40, 3), np.uint8))
    return path


def record(path: Path, size: tuple[int, int] = (40, 30)) -> ImageAnnotations:
    return image_annotations(path, size, [((1, 2, 11, 22), 0, False)], 0)


def damaged(folder: Path) -> Dataset:
    """One good image, and one of each kind of bad ones."""
    good = image_file(folder, "good.jpg")
    short = folder / "short.jpg"
    short.write_bytes(good.read_bytes()[:-200])
    text = folder / "text.jpg"
    text.write_text("no image", encoding="utf-8")
    empty = folder / "empty.png"
    empty.touch()
    paths = [good, short, text, empty, folder / "none.jpg"]
    images = [record(path) for path in paths] + [record(image_file(folder, "other.png"), (41, 30))]
    return Dataset(("bolt",), tuple(images), (Problem("zero area", "x.jpg", "box (1, 1, 1, 2) has no area"),))


def test_every_bad_image_is_found(tmp_path: Path) -> None:
    seen = []
    checked = check_dataset(damaged(tmp_path), lambda: seen.append(1))
    assert [image.path.name for image in checked.images] == ["good.jpg"]
    kinds = [problem.kind for problem in checked.problems]
    assert kinds == ["zero area", *["corrupt image"] * 3, "missing image", "wrong image size"]
    assert len(seen) == 6


def test_one_report_names_them_all_and_skip_bad_goes_on(tmp_path: Path) -> None:
    checked = check_dataset(damaged(tmp_path))
    with pytest.raises(UsageError) as raised:
        keep_sound(checked, skip_bad=False)
    text = str(raised.value)
    for part in ("6 problems", "short.jpg: the JPEG stops", "none.jpg", "41x30", "x.jpg", "--skip-bad"):
        assert part in text
    assert keep_sound(checked, skip_bad=True) is checked


@pytest.mark.parametrize("exists", [True, False])
def test_a_folder_without_its_images_is_one_problem(tmp_path: Path, exists: bool) -> None:
    folder = tmp_path / "photos"
    if exists:
        folder.mkdir()
    images = [record(folder / f"{index}.jpg") for index in range(48)]
    checked = check_dataset(Dataset(("bolt",), (record(image_file(tmp_path, "good.jpg")), *images)))
    assert [image.path.name for image in checked.images] == ["good.jpg"]
    (problem,) = checked.problems
    assert (problem.kind, problem.where) == ("missing folder", str(folder))
    assert ("none of 48 images" if exists else "no such folder: 48 images") in problem.detail


def test_data_without_boxes_is_refused_even_then(tmp_path: Path) -> None:
    crowd = image_annotations(image_file(tmp_path, "a.png"), (40, 30), [((1, 2, 11, 22), 0, True)], 0)
    with pytest.raises(UsageError, match="no box"):
        keep_sound(Dataset(("bolt",), (crowd,)), skip_bad=True)


def test_the_report_counts_what_it_does_not_show() -> None:
    problems = [Problem("missing image", f"{i}.jpg", "no such file") for i in range(8)]
    text = report(problems)
    assert "missing image: 8" in text
    assert "4.jpg" in text
    assert "5.jpg" not in text
    assert "and 3 more" in text


def test_images_are_rgb_and_errors_name_the_file(tmp_path: Path) -> None:
    path = tmp_path / "red.png"
    cv2.imwrite(str(path), np.full((4, 6, 3), (0, 0, 255), np.uint8))
    np.testing.assert_array_equal(read_stored_image(path), np.full((4, 6, 3), (255, 0, 0), np.uint8))
    with pytest.raises(ImageError, match=r"none\.png"):
        read_stored_image(tmp_path / "none.png")
