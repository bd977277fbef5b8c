"""Curves and the gallery: what is drawn, and that a file is written whole or not at all."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pocketdet.datasets import Dataset
from pocketdet.datasets.records import image_annotations
from pocketdet.errors import ImageError, UsageError
from pocketdet.evaluation import (
    CocoAccuracy,
    Cost,
    Detections,
    Miss,
    coco_accuracy,
    worst_misses,
    write_curves,
    write_gallery,
    write_trade_off,
)
from pocketdet.evaluation.misses import view

NAMES = ("bolt", "nut", "pin")
Box = tuple[float, float, float, float]
BOLT, NUT = (40.0, 30.0, 140.0, 110.0), (150.0, 20.0, 190.0, 60.0)
GREEN, ORANGE = (0x19, 0xC3, 0x7D), (0xFF, 0x8A, 0x00)
NONE = Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))
FOUND = Detections(np.array([(45, 35, 140, 110)], np.float32), np.array([0.87], np.float32), np.array([1]))


@pytest.fixture
def data(tmp_path: Path) -> Dataset:
    """Two grey images with a bolt and a nut each; nothing is a pin."""
    paths = [tmp_path / "one.png", tmp_path / "two.png"]
    for path in paths:
        cv2.imwrite(str(path), np.full((150, 200, 3), 120, np.uint8))
    objects = [(BOLT, 0, False), (NUT, 1, False)]
    return Dataset(NAMES, tuple(image_annotations(path, (200, 150), objects, 0) for path in paths))


@pytest.fixture
def accuracy(data: Dataset) -> CocoAccuracy:
    return coco_accuracy(data, [FOUND, Detections(FOUND.boxes, FOUND.scores, np.array([0]))])


def read(path: Path) -> NDArray[np.uint8]:
    image = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
    return np.asarray(image, np.uint8)


def pixels(path: Path, colour: tuple[int, int, int]) -> int:
    return int((np.abs(read(path).astype(int) - colour).max(axis=-1) <= 8).sum())


def test_curves_show_each_subject_and_each_class_with_objects(tmp_path: Path, accuracy: CocoAccuracy) -> None:
    one, two = tmp_path / "one.png", tmp_path / "two.png"
    write_curves(one, {"PyTorch": accuracy}, NAMES)
    other = replace(accuracy, curves50=accuracy.curves50 / 2)
    write_curves(two, {"PyTorch": accuracy, "ncnn fp16": other}, NAMES)
    assert read(one).shape == read(two).shape == (640, 1200, 3)
    red = (0xD5, 0x5E, 0x00)  # the second variant's
    assert pixels(one, red) == 0
    assert pixels(two, red) > 100
    many = replace(
        accuracy, curves50=np.repeat(accuracy.curves50, 7, axis=0), per_class=accuracy.per_class * 7
    )
    write_curves(one, {"PyTorch": many}, NAMES * 7)  # 14 classes with objects: three rows
    assert read(one).shape == (640 + 2 * 172, 1200, 3)


def test_classes_stand_in_the_order_of_their_ap(
    tmp_path: Path, accuracy: CocoAccuracy, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = drawn_texts(monkeypatch)
    write_curves(tmp_path / "a.png", {"x": accuracy}, NAMES)
    assert [one.ap > 0 for one in accuracy.per_class[:2]] == [True, False]
    assert texts.index("bolt") < texts.index("nut")
    assert "Without objects: pin" in texts
    texts.clear()
    swapped = replace(accuracy, per_class=(*accuracy.per_class[1::-1], accuracy.per_class[2]))
    write_curves(tmp_path / "a.png", {"x": swapped}, NAMES)
    assert texts.index("nut") < texts.index("bolt")


def test_the_trade_off_shows_every_cost(tmp_path: Path) -> None:
    costs = [
        Cost("fp32", 0.648, 4.5, 8.3),
        Cost("int8", 0.647, 1.3, 6.0),
        Cost("emulated", 0.646, 2.3, None),
    ]
    write_trade_off(tmp_path / "a.png", costs, "all 699 images")
    image = read(tmp_path / "a.png")
    assert image.shape == (420, 1200, 3)
    blue, green = (0x00, 0x72, 0xB2), (0x00, 0x9E, 0x73)
    assert pixels(tmp_path / "a.png", blue) > 3 * 30  # in both panels and the legend
    right = image[:, 440:800].astype(int)
    assert (np.abs(right - green).max(axis=-1) > 8).all()  # an emulator has no time
    with pytest.raises(UsageError, match=r"expected a name that ends in"):
        write_trade_off(tmp_path / "a.txt", costs)


def drawn_texts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every text that a figure shows, in the order in which it was put there."""
    from matplotlib.figure import Figure
    from matplotlib.text import Text

    texts: list[str] = []
    save = Figure.savefig

    def noting(self: Any, *args: Any, **options: Any) -> None:
        texts.extend(text.get_text() for text in self.findobj(Text))
        save(self, *args, **options)

    monkeypatch.setattr(Figure, "savefig", noting)
    return texts


def test_the_gallery_says_in_words_what_went_wrong(
    tmp_path: Path, data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = drawn_texts(monkeypatch)
    found = [FOUND, NONE]
    misses = worst_misses(data, found, 10)
    path = tmp_path / "gallery.jpg"
    write_gallery(path, data, found, misses)
    assert {"bolt taken for nut 0.87", "bolt missed", "nut missed"} <= set(texts)
    assert "The 4 worst misses" in texts
    assert any(text.startswith("two.png") for text in texts)
    assert read(path).shape[1] == 1200
    assert path.read_bytes()[:3] == b"\xff\xd8\xff"


def test_true_and_found_boxes_have_their_colours(tmp_path: Path, data: Dataset) -> None:
    path = tmp_path / "gallery.png"
    write_gallery(path, data, [FOUND, NONE], worst_misses(data, [FOUND, NONE], 9))
    legend = pixels_of_empty_gallery(tmp_path, data)
    assert pixels(path, GREEN) > legend[0] + 100
    assert pixels(path, ORANGE) > legend[1] + 100
    write_gallery(path, data, [NONE, NONE], worst_misses(data, [NONE, NONE], 1))
    assert pixels(path, GREEN) > legend[0] + 100
    assert pixels(path, ORANGE) == legend[1]


def pixels_of_empty_gallery(folder: Path, data: Dataset) -> tuple[int, int]:
    path = folder / "empty.png"
    write_gallery(path, data, [NONE, NONE], ())
    return pixels(path, GREEN), pixels(path, ORANGE)


def test_a_box_is_drawn_where_it_is(tmp_path: Path, data: Dataset) -> None:
    # The only tile begins at (16, 76) and is 280 pixels wide; it shows the whole image.
    miss = Miss("missed", 0, 1.0, (25.0, 50.0, 125.0, 100.0), 0)
    empty = Dataset(NAMES, (replace(data.images[0], boxes=np.zeros((0, 4), np.float32)),))
    path = tmp_path / "gallery.png"
    write_gallery(path, empty, [NONE], [miss])
    assert view(miss, (200, 150)) == (0, 0, 200, 150)
    green = np.abs(read(path)[76:356, 16:296].astype(int) - GREEN).max(axis=-1) <= 8
    rows, columns = np.flatnonzero(green.any(axis=1)), np.flatnonzero(green.any(axis=0))
    scale, top = 280 / 200, 280 - 150 * 280 / 200  # the image is wide: it lies at the bottom
    drawn = (columns[0], rows[0], columns[-1], rows[-1])
    expected = (25 * scale, top + 50 * scale, 125 * scale, top + 100 * scale)
    np.testing.assert_allclose(drawn, expected, atol=3)


@pytest.mark.parametrize(
    ("miss", "size", "expected"),
    [
        (Miss("missed", 0, 1.0, (100, 100, 200, 150)), (1000, 900), (0, 0, 300, 300)),
        (Miss("missed", 0, 1.0, (500, 400, 600, 450)), (1000, 900), (400, 275, 700, 575)),
        (Miss("missed", 0, 1.0, (500, 400, 504, 404)), (1000, 900), (470, 370, 534, 434)),
        (Miss("missed", 0, 1.0, (500, 400, 504, 404)), (504, 404), (440, 340, 504, 404)),
        (
            Miss("wrong class", 0, 1.0, (500, 400, 560, 450), 0, (540, 400, 600, 450)),
            (1000, 900),
            (400, 275, 700, 575),
        ),
    ],
)
def test_the_view_is_the_surroundings_of_the_miss(
    miss: Miss, size: tuple[int, int], expected: tuple[int, int, int, int]
) -> None:
    assert view(miss, size) == expected


@given(
    st.tuples(*[st.floats(0, 500, width=32)] * 4),
    st.integers(1, 600),
    st.integers(1, 600),
)
def test_the_view_lies_within_the_image(corners: Box, width: int, height: int) -> None:
    x1, x2 = sorted(min(x, width) for x in corners[::2])
    y1, y2 = sorted(min(y, height) for y in corners[1::2])
    left, top, right, bottom = view(Miss("missed", 0, 1.0, (x1, y1, x2, y2), 0), (width, height))
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height
    assert left <= x1 <= x2 <= right
    assert top <= y1 <= y2 <= bottom


def test_names_that_would_upset_a_layout_are_drawn(tmp_path: Path, data: Dataset, accuracy: Any) -> None:
    names = ("$\\frac{", "a name that is longer than any tile is wide " * 3, "")
    data = Dataset(names, data.images)
    write_curves(tmp_path / "curves.png", {"$x$ " * 30: accuracy}, names)
    write_gallery(tmp_path / "gallery.png", data, [FOUND, NONE], worst_misses(data, [FOUND, NONE], 9))
    assert read(tmp_path / "curves.png").shape[1] == read(tmp_path / "gallery.png").shape[1] == 1200


Writer = Callable[[Path, Dataset, CocoAccuracy], None]
WRITERS: list[Writer] = [
    lambda path, data, accuracy: write_curves(path, {"PyTorch": accuracy}, NAMES),
    lambda path, data, accuracy: write_gallery(path, data, [NONE, NONE], worst_misses(data, [NONE] * 2, 2)),
]


@pytest.mark.parametrize("write", WRITERS)
def test_a_place_that_cannot_be_written_is_named(
    write: Writer, tmp_path: Path, data: Dataset, accuracy: CocoAccuracy
) -> None:
    for path, message in (
        (tmp_path / "none" / "a.png", "cannot be written: No such file"),
        (tmp_path / "a.gif", "expected a name that ends in one of .png, .jpg, .jpeg"),
        (tmp_path / "a", "expected a name that ends in"),
    ):
        with pytest.raises(UsageError, match=message) as caught:
            write(path, data, accuracy)
        assert str(caught.value).startswith(str(path))
    folder = tmp_path / "folder.png"
    folder.mkdir()
    with pytest.raises(UsageError, match=r"folder\.png: cannot be written"):
        write(folder, data, accuracy)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder.png", "one.png", "two.png"]


@pytest.mark.parametrize("write", WRITERS)
def test_without_matplotlib_the_extra_is_named(
    write: Writer, tmp_path: Path, data: Dataset, accuracy: CocoAccuracy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(UsageError, match=r"needs matplotlib: pip install 'pocketdet\[accuracy\]'"):
        write(tmp_path / "a.png", data, accuracy)


def test_an_image_that_cannot_be_read_leaves_the_old_file(tmp_path: Path, data: Dataset) -> None:
    path = tmp_path / "gallery.png"
    path.write_bytes(b"old")
    data.images[0].path.write_bytes(b"no image")
    with pytest.raises(ImageError, match=r"one\.png"):
        write_gallery(path, data, [FOUND, NONE], worst_misses(data, [FOUND, NONE], 9))
    assert path.read_bytes() == b"old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["gallery.png", "one.png", "two.png"]


def test_what_does_not_fit_together_is_refused(tmp_path: Path, data: Dataset, accuracy: CocoAccuracy) -> None:
    path = tmp_path / "a.png"
    with pytest.raises(UsageError, match="at least one variant"):
        write_curves(path, {}, NAMES)
    with pytest.raises(
        UsageError, match=r"ONNX: expected curves of 2 classes .* found an array of shape \(3, 101\)"
    ):
        write_curves(path, {"ONNX": accuracy}, NAMES[:2])
    with pytest.raises(UsageError, match="a miss is in image 2: found 2 images"):
        write_gallery(path, data, [NONE, NONE], [Miss("missed", 2, 1.0, BOLT, 0)])
    with pytest.raises(UsageError, match="expected detections of 2 images, found 1"):
        write_gallery(path, data, [NONE], [])
    assert not path.exists()


def test_drawing_leaves_matplotlib_as_it_was(tmp_path: Path) -> None:
    code = f"""
import sys, matplotlib, numpy as np
from pocketdet.evaluation import ClassAccuracy, CocoAccuracy, write_curves
settings = lambda: {{k: matplotlib.rcParams[k] for k in matplotlib.rcParams if k != "backend"}}
before = settings()
one = CocoAccuracy(*[0.5] * 7, (ClassAccuracy("bolt", 3, 0.5, 0.5),), np.full((1, 101), 0.5))
write_curves({str(tmp_path / "a.png")!r}, {{"x": one}}, ["bolt"])
assert settings() == before
print("matplotlib.pyplot" in sys.modules)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "False"
    assert result.stderr == ""
