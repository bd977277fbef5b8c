"""The standard frames of benchmarks: drawn scenes of many small objects, the same bytes on every machine.

The time of a two-stage detector depends on its number of proposals. An image with few objects yields few
distinct proposals, and its time says little about photographs. Each standard frame shows 80 bars, rings,
discs and bolts, 12 to 120 pixels long, on plain ground.

Only integers are computed, from the raw output of NumPy's PCG64, which NumPy keeps between its versions. A
change of one pixel needs a new `VERSION`, because records compare frames by their SHA-256.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Grid = NDArray[np.int64]

VERSION: Final = 1
NAME: Final = f"standard{VERSION}"
FIRST_FRAME: Final = f"{NAME}-0"
COUNT: Final = 4
HEIGHT, WIDTH = 480, 640  # what phones give a detector
OBJECTS: Final = 80
_SIZES: Final = (6, 8, 10, 12, 15, 19, 24, 30, 38, 48, 60)  # half lengths in pixels, in even ratios
_DIRECTIONS: Final = ((1, 0, 1), (12, 5, 13), (4, 3, 5), (3, 4, 5), (5, 12, 13), (0, 1, 1))  # (cos, sin, 1)
_KINDS: Final = 4


def standard_frames() -> dict[str, Image]:
    """Draw the standard frames.

    Returns:
        `COUNT` RGB images (480, 640, 3) uint8 by name, such as "standard1-0": version 1, frame 0.
    """
    return {f"{NAME}-{number}": standard_frame(number) for number in range(COUNT)}


def standard_frame(number: int = 0) -> Image:
    """Draw one frame.

    Args:
        number: Seed of the frame. Those of the standard set are 0 to `COUNT` - 1.

    Returns:
        RGB (480, 640, 3) uint8.
    """
    numbers = _numbers(number)
    y, x = np.ogrid[:HEIGHT, :WIDTH]
    ground = np.array([70 + next(numbers) % 80 for _ in range(3)])
    image: Grid = ground + (20 * x // WIDTH + 20 * y // HEIGHT)[..., None]
    for _ in range(OBJECTS):
        _draw_object(image, numbers)
    return image.clip(0, 255).astype(np.uint8)


def _numbers(seed: int) -> Iterator[int]:
    """Random numbers of 32 bits."""
    generator = np.random.PCG64(seed)
    while True:
        yield int(generator.random_raw()) >> 32


def _draw_object(image: Grid, numbers: Iterator[int]) -> None:
    """Draw one object with its shadow, shaded from one corner to the other."""
    kind, size = next(numbers) % _KINDS, _SIZES[next(numbers) % len(_SIZES)]
    left, top = next(numbers) % WIDTH, next(numbers) % HEIGHT
    direction = _DIRECTIONS[next(numbers) % len(_DIRECTIONS)]
    colour = np.array([20 + next(numbers) % 216 for _ in range(3)])
    reach = 2 * size + 8
    y, x = np.ogrid[
        max(0, top - reach) : min(HEIGHT, top + reach), max(0, left - reach) : min(WIDTH, left + reach)
    ]
    window = image[y[0, 0] : y[-1, 0] + 1, x[0, 0] : x[0, -1] + 1]
    y, x, aside = y - top, x - left, 2 + size // 12
    shadow = _mask(kind, x - aside, y - aside, size, direction)
    window[shadow] = window[shadow] * 5 // 8
    whole = _mask(kind, x, y, size, direction)
    window[whole] = colour + ((x + y)[whole] * 15 // size)[:, None]


def _mask(kind: int, x: Grid, y: Grid, size: int, direction: tuple[int, int, int]) -> Mask:
    """Where an object is: a bar, a ring, a disc or a bolt around 0, turned into a direction."""
    cos, sin, one = direction
    along, across, size = cos * x + sin * y, cos * y - sin * x, size * one
    square = along * along + across * across
    if kind == 0:
        return (abs(along) < size) & (abs(across) < size // 4)
    if kind == 1:
        return (square < size * size) & (square > size * size // 4)
    if kind == 2:
        return square < size * size * 3 // 5
    shaft = (abs(along) < size) & (abs(across) < size // 6)
    return shaft | ((abs(along - size) < size // 3) & (abs(across) < size // 3))
