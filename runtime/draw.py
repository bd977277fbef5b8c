"""Drawing of detections: a box in the colour of its class and a label inside the image."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from pocketdet.runtime.parity import DetectionArrays

Colour = tuple[int, int, int]

_SHIFT = 4  # fractional bits of the coordinates given to OpenCV
_SHADE = 0.35  # opacity of the dark outline, which keeps a box visible on any background


class Font(Protocol):
    """Renders one line of text at a given height."""

    def width(self, text: str) -> int:
        """Return the width of a text in pixels."""
        ...

    def draw(self, image: NDArray[np.uint8], text: str, x: int, y: int, colour: Colour) -> None:
        """Draw a text into `image`, starting at `x` with the baseline at `y`."""


class TrueTypeFont:
    """The sans-serif font of OpenCV 5, medium weight. `size` is in pixels."""

    _WEIGHT = 520

    def __init__(self, size: int) -> None:
        self._size, self._face = size, cv2.FontFace("sans")

    def width(self, text: str) -> int:
        """See `Font.width`."""
        # the first argument is the area for line wrapping: unlimited
        box = cv2.getTextSize((1 << 20, 1 << 10), text, (0, 512), self._face, self._size, self._WEIGHT)
        return int(box[2])

    def draw(self, image: NDArray[np.uint8], text: str, x: int, y: int, colour: Colour) -> None:
        """See `Font.draw`."""
        cv2.putText(image, text, (x, y), colour, self._face, self._size, self._WEIGHT)


class StrokeFont:
    """The Hershey font of all OpenCV versions; letters beyond ASCII become question marks."""

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
    """Return the best font that this OpenCV has, for letters about `size` pixels high."""
    return TrueTypeFont(size) if hasattr(cv2, "FontFace") else StrokeFont(size)


def fit(font: Font, text: str, width: int) -> str:
    """Return `text`, truncated with ".." if it is wider than `width` pixels."""
    if font.width(text) <= width:
        return text
    for end in range(len(text) - 1, 0, -1):
        if font.width(shorter := text[:end].rstrip() + "..") <= width:
            return shorter
    return ""


class NamedDetections(DetectionArrays, Protocol):
    """Detections with class names, such as `Detections`."""

    @property
    def names(self) -> Sequence[str]:
        """Class name of each box."""
        ...


@dataclass(frozen=True)
class _Style:
    """Sizes in pixels, proportional to the image."""

    line: int
    text: int

    @property
    def pad(self) -> int:
        return max(2, round(self.text * 0.33))

    @property
    def chip_height(self) -> int:
        return round(self.text * 1.45)


def draw_detections(image: NDArray[np.uint8], detections: NamedDetections) -> NDArray[np.uint8]:
    """Draw detections on a copy of an image, the best on top.

    Args:
        image: (H, W, 3) uint8 RGB.
        detections: boxes in pixels; they may exceed the image. Boxes that are not finite are skipped.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    canvas = np.ascontiguousarray(image).copy()
    scale = math.sqrt(image.shape[0] * image.shape[1])
    style = _Style(line=max(2, round(scale / 260)), text=max(11, round(scale / 44)))
    font = best_font(style.text)
    order = [i for i in range(len(detections.scores)) if np.isfinite(detections.boxes[i]).all()]
    for i in reversed(order):
        _draw_box(canvas, detections.boxes[i], class_colour(int(detections.labels[i])), style)
    names, chips = detections.names, []
    taken: list[tuple[int, int, int, int]] = []
    for i in order:
        text = fit(font, f"{names[i]} {detections.scores[i]:.2f}", image.shape[1] - 2 * style.pad)
        size = font.width(text) + 2 * style.pad, style.chip_height
        place = _place(detections.boxes[i], size, canvas.shape[:2], style, taken)
        taken.append((*place, place[0] + size[0], place[1] + size[1]))
        chips.append((text, place, size, class_colour(int(detections.labels[i]))))
    for text, place, size, colour in reversed(chips):
        _draw_chip(canvas, text, place, size, colour, font, style)
    return canvas


def class_colour(label: int) -> Colour:
    """Return the RGB colour of a class: hues a golden angle apart at medium lightness (OKLCh)."""
    hue = math.radians(25 + 137.50776 * label)
    lightness, chroma = (0.74, 0.66, 0.82)[label % 3], 0.17
    a, b = chroma * math.cos(hue), chroma * math.sin(hue)
    # OKLab to linear sRGB, https://bottosson.github.io/posts/oklab/
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    return (
        _gamma(4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short),
        _gamma(-1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short),
        _gamma(-0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short),
    )


def _gamma(linear: float) -> int:
    value = min(1.0, max(0.0, linear))
    return round(255 * (12.92 * value if value <= 0.0031308 else 1.055 * value ** (1 / 2.4) - 0.055))


def _draw_box(canvas: NDArray[np.uint8], box: NDArray[Any], colour: Colour, style: _Style) -> None:
    height, width = canvas.shape[:2]
    inset = style.line / 2
    limits = (inset, inset, width - inset, height - inset)
    # Coordinates far outside the image are not visible and could overflow OpenCV's integers.
    x1, y1 = (max(float(v), low - 2 * style.line) for v, low in zip(box[:2], limits[:2], strict=True))
    x2, y2 = (min(float(v), high + 2 * style.line) for v, high in zip(box[2:], limits[2:], strict=True))
    if x2 < x1 or y2 < y1:
        return
    x1, y1 = max(x1, limits[0]), max(y1, limits[1])
    x2, y2 = max(x1, min(x2, limits[2])), max(y1, min(y2, limits[3]))
    outline = _rounded(x1, y1, x2, y2, min(2.5 * style.line, (x2 - x1) / 2, (y2 - y1) / 2))
    margin = 2 * style.line + 2
    left, top = max(0, int(x1) - margin), max(0, int(y1) - margin)
    right, bottom = min(width, int(x2) + margin + 1), min(height, int(y2) + margin + 1)
    region = canvas[top:bottom, left:right]
    points = np.round((outline - (left, top)) * (1 << _SHIFT)).astype(np.int32)
    shaded = region.copy()
    cv2.polylines(shaded, [points], True, (0, 0, 0), style.line + 2, cv2.LINE_AA, _SHIFT)
    cv2.addWeighted(shaded, _SHADE, region, 1 - _SHADE, 0, dst=shaded)
    cv2.polylines(shaded, [points], True, colour, style.line, cv2.LINE_AA, _SHIFT)
    region[:] = shaded


def _rounded(x1: float, y1: float, x2: float, y2: float, radius: float) -> NDArray[np.float64]:
    """Return the points (24, 2) of a rounded rectangle as a closed line through pixel centres."""
    turn = np.linspace(0, np.pi / 2, 6)
    arc = radius * np.stack([np.cos(turn), np.sin(turn)], axis=1)
    centres = [(x2 - radius, y2 - radius), (x1 + radius, y2 - radius)]
    centres += [(x1 + radius, y1 + radius), (x2 - radius, y1 + radius)]
    quarters = []
    for centre in centres:
        quarters.append(np.asarray(centre) + arc)
        arc = np.stack([-arc[:, 1], arc[:, 0]], axis=1)
    return np.concatenate(quarters) - 0.5


def _place(
    box: NDArray[Any],
    size: tuple[int, int],
    image: tuple[int, ...],
    style: _Style,
    taken: list[tuple[int, int, int, int]],
) -> tuple[int, int]:
    """Top left corner of a label: the first place that is free of other labels, else the least covered."""
    x1, y1, x2, y2 = np.clip(box, -(1 << 20), 1 << 20)
    (width, height), edge = size, style.line // 2
    rows = (y1 - height + edge, y1 - edge, y2 - edge, y2 - height + edge)
    columns = (x1 - edge, x2 - width + edge)
    best, least = (0, 0), math.inf
    for y in rows:
        for x in columns:
            place = (
                max(0, min(round(float(x)), image[1] - width)),
                max(0, min(round(float(y)), image[0] - height)),
            )
            covered = sum(_overlap((*place, place[0] + width, place[1] + height), other) for other in taken)
            if covered < least:
                best, least = place, covered
            if not covered:
                return best
    return best


def _overlap(one: tuple[int, int, int, int], other: tuple[int, int, int, int]) -> int:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return max(0, width) * max(0, height)


def _draw_chip(
    canvas: NDArray[np.uint8],
    text: str,
    place: tuple[int, int],
    size: tuple[int, int],
    colour: Colour,
    font: Font,
    style: _Style,
) -> None:
    region = canvas[place[1] : place[1] + size[1], place[0] : place[0] + size[0]]
    chip = np.full((size[1], size[0], 3), colour, np.uint8)
    dark = 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2] > 130
    baseline = round(size[1] / 2 + style.text * 0.36)
    font.draw(chip, text, style.pad, baseline, (16, 16, 16) if dark else (255, 255, 255))
    mask = _chip_mask(size, style)[: region.shape[0], : region.shape[1], None]
    region[:] = np.round(mask * chip[: region.shape[0], : region.shape[1]] + (1 - mask) * region)


def _chip_mask(size: tuple[int, int], style: _Style) -> NDArray[np.float32]:
    """Opacity of a label (height, width) in [0, 1], with smooth round corners."""
    fine = 4
    mask = np.zeros((size[1] * fine, size[0] * fine), np.float32)
    outline = _rounded(0, 0, mask.shape[1], mask.shape[0], fine * min(style.text * 0.28, size[1] / 2))
    cv2.fillPoly(mask, [np.round(outline).astype(np.int32)], 1.0)
    return np.asarray(cv2.resize(mask, size, interpolation=cv2.INTER_AREA), np.float32)
