"""What drawing must keep: the input, the image's bounds, colours that differ, labels that can be read."""

from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pocketdet.runtime.draw import Font, StrokeFont, TrueTypeFont, class_colour, draw_detections, fit


@dataclass
class PlainDetections:
    boxes: NDArray[np.float32]
    names: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.names = self.names or ["wrench"] * len(self.boxes)
        self.scores = np.linspace(0.9, 0.4, len(self.boxes), dtype=np.float32)
        self.labels = np.arange(len(self.boxes), dtype=np.int32)


def boxes(*rows: tuple[float, ...]) -> NDArray[np.float32]:
    return np.array(rows, np.float32).reshape(-1, 4)


def grey(height: int = 120, width: int = 160) -> NDArray[np.uint8]:
    return np.full((height, width, 3), 90, np.uint8)


def test_the_input_is_left_alone_and_nothing_is_drawn_for_nothing() -> None:
    image = grey()
    drawn = draw_detections(image, PlainDetections(boxes((20, 40, 100, 100))))
    assert (image == 90).all()
    assert (drawn != 90).any()
    np.testing.assert_array_equal(draw_detections(image, PlainDetections(boxes())), image)


def test_edges_have_the_colour_of_the_class_and_the_inside_stays() -> None:
    drawn = draw_detections(grey(), PlainDetections(boxes((20, 40, 100, 100))))
    for y, x in ((70, 20), (70, 100), (100, 60)):
        window = drawn[y - 2 : y + 2, x - 2 : x + 2].reshape(-1, 3).astype(int)
        assert np.abs(window - class_colour(0)).sum(axis=1).min() < 30
    assert (drawn[50:90, 30:90] == 90).all()
    assert (drawn[104:] == 90).all()


def test_a_read_only_strided_image() -> None:
    image = grey()[:, ::-1]
    image.flags.writeable = False
    assert draw_detections(image, PlainDetections(boxes((20, 40, 100, 100)))).shape == image.shape


@pytest.mark.parametrize(
    "box", [(-500, -500, 30, 30), (150, 110, 900, 900), (0, 0, 160, 120), (1e30, 0, 2e30, 5)]
)
def test_labels_stay_inside_the_image(box: tuple[float, ...]) -> None:
    colour, drawn = class_colour(0), draw_detections(grey(), PlainDetections(boxes(box)))
    chip = np.argwhere(np.abs(drawn.astype(int) - colour).sum(axis=2) < 6)
    # 62 x 12 pixels of label, less its letters and corners: more than its half would not fit outside
    assert len(chip) > 250
    assert drawn.shape == (120, 160, 3)


def test_labels_of_one_place_do_not_hide_each_other() -> None:
    same = boxes((60, 60, 120, 100), (60, 60, 120, 100), (60, 60, 120, 100))
    drawn = draw_detections(grey(200, 300), PlainDetections(same)).astype(int)
    for label in range(3):
        assert (np.abs(drawn - class_colour(label)).sum(axis=2) < 6).sum() > 250


def test_boxes_that_are_not_finite_are_left_out() -> None:
    rows = boxes((np.nan, 1, 2, 3), (1, 1, np.inf, 3))
    np.testing.assert_array_equal(draw_detections(grey(), PlainDetections(rows)), grey())


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    rows=st.lists(
        st.tuples(*[st.floats(width=32, allow_nan=True) | st.floats(-60, 60, width=32)] * 4), max_size=4
    ),
    name=st.text(max_size=60),
)
def test_any_box_on_any_image(height: int, width: int, rows: list[tuple[float, ...]], name: str) -> None:
    found = PlainDetections(boxes(*rows), [name] * len(rows))
    drawn = draw_detections(grey(height, width), found)
    assert drawn.shape == (height, width, 3)
    assert drawn.dtype == np.uint8


def test_colours_of_neighbouring_classes_differ() -> None:
    colours = [class_colour(i) for i in range(12)]
    assert min(sum(abs(a - b) for a, b in zip(*pair, strict=True)) for pair in combinations(colours, 2)) > 40
    assert class_colour(10**9) == class_colour(10**9)


@pytest.mark.parametrize("font", [TrueTypeFont(16), StrokeFont(16)])
def test_fonts_draw_what_they_measure(font: Font) -> None:
    canvas = np.zeros((40, 400, 3), np.uint8)
    font.draw(canvas, "wrench 0.87", 10, 28, (255, 255, 255))
    columns = np.flatnonzero(canvas.any(axis=(0, 2)))
    assert columns[0] >= 9
    assert abs(columns[-1] - (10 + font.width("wrench 0.87"))) <= 4


@pytest.mark.parametrize("width", [0, 5, 40, 80, 1000])
def test_text_is_cut_to_fit(width: int) -> None:
    font = StrokeFont(16)
    text = fit(font, "adjustable wrench 0.87", width)
    assert font.width(text) <= width or text == ""
    assert width != 1000 or text == "adjustable wrench 0.87"
    assert width != 80 or text.endswith("..")
