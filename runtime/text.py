"""Text on pictures, in the TrueType font that OpenCV 5 brings or in the stroke font of OpenCV 4."""

from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

Colour = tuple[int, int, int]


class Font(Protocol):
    """Renders one line of text at a given height."""

    def width(self, text: str) -> int:
        """Pixels from the left of the first letter to the right of the last."""

    def draw(self, image: NDArray[np.uint8], text: str, x: int, y: int, colour: Colour) -> None:
        """Draw into `image` with the baseline at `y`."""


class TrueTypeFont:
    """OpenCV 5's own sans-serif, medium weight. `size` is in pixels."""

    _WEIGHT = 520

    def __init__(self, size: int) -> None:
        self._size, self._face = size, cv2.FontFace("sans")

    def width(self, text: str) -> int:
        """See `Font.width`."""
        # The size of the picture given here is the space for wrapping: endless.
        box = cv2.getTextSize((1 << 20, 1 << 10), text, (0, 512), self._face, self._size, self._WEIGHT)
        return int(box[2])

    def draw(self, image: NDArray[np.uint8], text: str, x: int, y: int, colour: Colour) -> None:
        """See `Font.draw`."""
        cv2.putText(image, text, (x, y), colour, self._face, self._size, self._WEIGHT)


class StrokeFont:
    """The Hershey strokes of every OpenCV; letters beyond ASCII come out as question marks."""

    _FACE = cv2.FONT_HERSHEY_DUPLEX

    def __init__(self, size: int) -> None:
        self._scale, self._stroke = size / 30, max(1, round(size / 20))

    def width(self, text: str) -> int:
        """See `Font.width`."""
        return int(cv2.getTextSize(text, self._FACE, self._scale, self._stroke)[0][0])

    def draw(self, image: NDArray[np.uint8], text: str, x: int, y: int, colour: Colour) -> None:
        """See `Font.draw`."""
        cv2.putText(image, text, (x, y), self._FACE, self._scale, colour, self._stroke, cv2.LINE_AA)


def best_font(size: int) -> Font:
    """The better of the two that this OpenCV has, for letters about `size` pixels high."""
    return TrueTypeFont(size) if hasattr(cv2, "FontFace") else StrokeFont(size)


def fit(font: Font, text: str, room: int) -> str:
    """`text`, cut and ended with ".." if it is wider than `room` pixels."""
    if font.width(text) <= room:
        return text
    for end in range(len(text) - 1, 0, -1):
        if font.width(shorter := text[:end].rstrip() + "..") <= room:
            return shorter
    return ""
