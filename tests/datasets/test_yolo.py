"""YOLO labels become the same records as COCO and Pascal VOC; what is wrong in them is named."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from own_data import NAMES, write_yolo
from PIL import Image, ImageOps

from pocketdet.datasets import DataSource, check_dataset, read_source
from pocketdet.datasets.records import Dataset
from pocketdet.datasets.yolo import label_file, read_data_yaml
from pocketdet.errors import UsageError

GOOD = "0 0.5 0.5 0.25 0.5\n"


def folder(root: Path, lines: str = GOOD, *, names: str = "bolt\nnut\n") -> Path:
    """An image of 40x30 pixels with labels, and a file of class names."""
    for part in ("images", "labels"):
        (root / part).mkdir(parents=True)
    cv2.imwrite(str(root / "images" / "a.png"), np.zeros((30, 40, 3), np.uint8))
    (root / "labels" / "a.txt").write_text(lines, encoding="utf-8")
    if names:
        (root / "classes.txt").write_text(names, encoding="utf-8")
    return root


def read(root: Path, split: str | None = None) -> Dataset:
    return read_source(DataSource(root, split=split))


def test_boxes_and_polygons_become_corners_in_pixels(tmp_path: Path) -> None:
    data = read(folder(tmp_path, GOOD + "1 0.1 0.2 0.5 0.2 0.3 0.9\n\n"))
    assert (data.class_names, data.problems) == (("bolt", "nut"), ())
    (image,) = data.images
    assert (image.path, image.size) == (tmp_path / "images" / "a.png", (40, 30))
    np.testing.assert_allclose(image.boxes, [[15, 7.5, 25, 22.5], [4, 6, 20, 27]], rtol=1e-6)
    np.testing.assert_array_equal(image.labels, [0, 1])


@pytest.mark.parametrize(
    ("line", "kind", "detail"),
    [
        ("0 0.5 0.5 0.2", "bad annotation", "found 3 values"),
        ("0 0.5 0.5 0.2 0.2 0.9", "bad annotation", "found 5 values"),
        ("2 0.5 0.5 0.2 0.2", "bad annotation", "expected an index from 0 to 1"),
        ("bolt 0.5 0.5 0.2 0.2", "bad annotation", "class 'bolt'"),
        ("-1 0.5 0.5 0.2 0.2", "bad annotation", "class '-1'"),
        ("0 x 0.5 0.2 0.2", "bad annotation", "'x'"),
        ("0 nan 0.5 0.2 0.2", "bad annotation", "not finite"),
        ("0 0.5 0.5 0 0.2", "zero area", "no area"),
        ("0 20 15 10 10", "box outside", "leaves the 40x30 image"),
    ],
)
def test_a_bad_line_is_named_and_left_out(tmp_path: Path, line: str, kind: str, detail: str) -> None:
    data = read(folder(tmp_path, f"{GOOD}{line}\n"))
    assert [problem.kind for problem in data.problems] == [kind]
    assert data.problems[0].where.endswith("a.txt line 2")
    assert detail in data.problems[0].detail
    assert data.objects == 1


def test_images_that_cannot_be_used_and_labels_without_image(tmp_path: Path) -> None:
    root = folder(tmp_path)
    (root / "images" / "b.jpg").write_text("no image", encoding="utf-8")
    cv2.imwrite(str(root / "images" / "bare.png"), np.zeros((8, 8, 3), np.uint8))
    (root / "labels" / "c.txt").write_text(GOOD, encoding="utf-8")
    (root / "labels" / "classes.txt").write_text("bolt", encoding="utf-8")
    data = read(root)
    assert [problem.kind for problem in data.problems] == ["corrupt image", "missing image"]
    assert data.problems[1].where.endswith("c.txt")
    assert [len(image.boxes) for image in data.images] == [1, 0]


def test_all_labels_missing_is_one_sentence(tmp_path: Path) -> None:
    root = folder(tmp_path)
    (root / "data.yaml").write_text("train: images\nnames: [bolt]\n", encoding="utf-8")
    (root / "labels" / "a.txt").unlink()
    with pytest.raises(UsageError, match=r"none of its 1 images has labels: expected files such as .*a\.txt"):
        read(root, "train")


def test_nothing_that_names_the_classes(tmp_path: Path) -> None:
    root = folder(tmp_path, names="")
    with pytest.raises(UsageError, match="nothing names the classes"):
        read(root)
    assert read_source(DataSource(root), ("bolt", "nut")).objects == 1
    (root / "classes.txt").write_text("bolt\nbolt\n", encoding="utf-8")
    with pytest.raises(UsageError, match=r"classes\.txt: expected one class name a line, each once"):
        read(root)


def test_given_class_names_set_the_labels_and_refuse_others(tmp_path: Path) -> None:
    data = read_source(DataSource(folder(tmp_path, GOOD + "1 0.5 0.5 0.2 0.2\n")), ("washer", "nut", "bold"))
    np.testing.assert_array_equal(data.images[0].labels, [1])
    assert str(data.problems[0]).endswith("category 'bolt' is not among the classes; did you mean bold?")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_labels_refer_to_the_displayed_image(tmp_path: Path, orientation: int) -> None:
    """A white rectangle, labelled where a viewer shows it, is found in the stored pixels."""
    root = folder(tmp_path)
    pixels = np.zeros((30, 40, 3), np.uint8)
    pixels[2:10, 4:30] = 255
    stored = Image.fromarray(pixels)
    exif = stored.getexif()
    exif[0x0112] = orientation
    (root / "images" / "a.png").unlink()
    stored.save(root / "images" / "a.jpg", exif=exif, quality=100)
    with Image.open(root / "images" / "a.jpg") as opened:
        shown = np.asarray(ImageOps.exif_transpose(opened))[..., 0] > 128
    height, width = shown.shape
    y, x = np.nonzero(shown)
    x1, x2, y1, y2 = x.min() / width, (x.max() + 1) / width, y.min() / height, (y.max() + 1) / height
    line = f"0 {(x1 + x2) / 2} {(y1 + y2) / 2} {x2 - x1} {y2 - y1}\n"
    (root / "labels" / "a.txt").write_text(line, encoding="utf-8")
    data = check_dataset(read(root))
    assert data.problems == ()
    np.testing.assert_allclose(data.images[0].boxes, [[4, 2, 30, 10]], atol=1e-4)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "expected names, train and val"),
        ("names: [", "cannot be read as YAML"),
        ("train: images\n", "names is None"),
        ("names: []\ntrain: images\n", "names is []"),
        ("names: {0: a, 2: b}\ntrain: images\n", "names is {0"),
        ("names: [a, no]\ntrain: images\n", "the class name False is no text"),
        ("names: [a, a]\ntrain: images\n", "class name 'a' stands twice"),
        ("names: [a]\nnc: 2\ntrain: images\n", "nc is 2, and names has 1"),
        ("names: [a]\n", "it names no images"),
        ("names: [a]\ntrain: 3\n", "train is 3: expected a folder"),
    ],
)
def test_a_bad_data_yaml_is_one_sentence(tmp_path: Path, text: str, part: str) -> None:
    path = tmp_path / "data.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError) as raised:
        read_data_yaml(path)
    assert str(raised.value).startswith(f"{path}: ")
    assert part in str(raised.value)


def test_paths_of_a_data_yaml(tmp_path: Path) -> None:
    """As they are written by hand, by Ultralytics and by Roboflow, and as lists of images."""
    root = write_yolo(tmp_path / "data")
    (root / "listed.txt").write_text("images/val/photo08.png\n", encoding="utf-8")
    for entry, count in (
        ("images/train", 8),
        ("../images/train", 8),
        (str(root / "images" / "train"), 8),
        (["images/train", "images/val"], 12),
        ("images", 12),
        ("listed.txt", 1),
    ):
        for base in ({}, {"path": "."}, {"path": str(root)}, {"path": "../datasets/elsewhere"}):
            content = {"train": entry, "names": dict(enumerate(NAMES)), **base}
            (root / "data.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
            data = read(root, "train")
            assert (len(data.images), data.class_names, data.problems) == (count, NAMES, ())
    (root / "data.yaml").write_text("train: imags\nnames: [a, b, c]\n", encoding="utf-8")
    with pytest.raises(UsageError, match="imags: no such file or folder; did you mean images"):
        read(root, "train")


def test_where_labels_are() -> None:
    assert label_file(Path("x/images/train/a.b.jpg")) == Path("x/labels/train/a.b.txt")
    assert label_file(Path("images/images/a.jpg")) == Path("images/labels/a.txt")
    assert label_file(Path("x/photos/a.jpg")) == Path("x/photos/a.txt")


@given(st.text(max_size=60))
def test_any_text_gives_objects_or_problems(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    root = tmp_path_factory.getbasetemp() / "any text"
    if not root.exists():
        folder(root)
    (root / "labels" / "a.txt").write_bytes(text.encode("utf-8", "surrogatepass"))
    data = read(root)
    assert len(data.images) == 1
    assert data.objects + len(data.problems) >= bool(text.strip())


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=6),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["names", "train", "path", "nc"]) | st.text(max_size=4), inner, max_size=4
            )
        ),
    )
)
def test_any_yaml_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, content: object) -> None:
    path = tmp_path_factory.getbasetemp() / "data.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    try:
        assert read_data_yaml(path).names
    except UsageError as error:
        assert str(path) in str(error)
