"""Default boxes of SSD detectors whose files do not have them, by the published rule of each.

All are cell by cell, row by row, with the anchors of a cell innermost.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pocketdet.export.families.grids import Size
from pocketdet.spec.one_stage import default_grid

Sides = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class SsdGrid:
    """One feature map of an SSD.

    Attributes:
        grid: (height, width) in cells.
        stride: pixels per cell along x and y.
        anchors: (width, height) of each anchor of a cell, in pixels.
    """

    grid: Size
    stride: tuple[float, float]
    anchors: Sides

    @property
    def count(self) -> int:
        """The number of anchors."""
        return math.prod(self.grid) * len(self.anchors)


def mobilenet_ssd(size: Size) -> list[SsdGrid] | None:
    """MobileNet-SSD of pytorch-ssd: `generate_ssd_priors` with vision/ssd/config/mobilenetv1_ssd_config.py.

    Sides are at most those of the input.

    Args:
        size: (height, width) of the input.

    Returns:
        The grids, or None: the rule is for 300 x 300.
    """
    if size != (300, 300):
        return None
    specs = ((19, 16, 60, 105), (10, 32, 105, 150), (5, 64, 150, 195), (3, 100, 195, 240), (2, 150, 240, 285))
    grids = []
    for cells, stride, small, large in (*specs, (1, 300, 285, 330)):
        sides = _shapes(small, math.sqrt(small * large), (2, 3), side_limit=300.0)
        grids.append(SsdGrid((cells, cells), (float(stride), float(stride)), sides))
    return grids


def caffe_mobilenet_ssd(size: Size) -> list[SsdGrid] | None:
    """MobileNet-SSD of Caffe: the PriorBox layers of its deploy.prototxt (min_size, max_size, aspect_ratio).

    Args:
        size: (height, width) of the input.

    Returns:
        The grids, or None: the rule is for 300 x 300.
    """
    if size != (300, 300):
        return None
    specs = ((10, 105, 150), (5, 150, 195), (3, 195, 240), (2, 240, 285), (1, 285, 300))
    first = _shapes(60, None, (2,))
    grids = [SsdGrid((19, 19), (300 / 19, 300 / 19), first)]
    for cells, small, large in specs:
        sides = _shapes(small, math.sqrt(small * large), (2, 3))
        grids.append(SsdGrid((cells, cells), (300 / cells, 300 / cells), sides))
    return grids


def torchvision_ssdlite(size: Size) -> list[SsdGrid] | None:
    """SSDlite of torchvision: `DefaultBoxGenerator([[2, 3]] * 6, min_ratio=0.2, max_ratio=0.95)`.

    Six feature maps of the strides 16 to 512; scales are shares of the input, sides at most the input's.

    Args:
        size: (height, width) of the input.
    """
    scales = [0.2 + (0.95 - 0.2) * k / 5 for k in range(6)] + [1.0]
    grids = [default_grid(size, 16 << k) for k in range(6)]
    return [
        SsdGrid(
            grid,
            (size[1] / grid[1], size[0] / grid[0]),
            _shares(size, scales[k], scales[k + 1], (2, 3)),
        )
        for k, grid in enumerate(grids)
    ]


def torchvision_ssd300(size: Size) -> list[SsdGrid] | None:
    """SSD300 with VGG16 of torchvision: its `DefaultBoxGenerator` with scales and steps.

    Args:
        size: (height, width) of the input.

    Returns:
        The grids, or None: the rule is for 300 x 300.
    """
    if size != (300, 300):
        return None
    scales = (0.07, 0.15, 0.33, 0.51, 0.69, 0.87, 1.05)
    steps = (8, 16, 32, 64, 100, 300)
    ratios: Sequence[tuple[int, ...]] = ((2,), (2, 3), (2, 3), (2, 3), (2,), (2,))
    return [
        SsdGrid(
            (cells, cells),
            (float(step), float(step)),
            _shares(size, scales[k], scales[k + 1], ratios[k]),
        )
        for k, (cells, step) in enumerate(zip((38, 19, 10, 5, 3, 1), steps, strict=True))
    ]


def _shapes(
    small: float, between: float | None, ratios: Sequence[int], side_limit: float = math.inf
) -> Sides:
    """A square, perhaps a larger square, then each ratio lying and standing, in pixels."""
    sides = [(small, small)] + ([] if between is None else [(between, between)])
    for ratio in ratios:
        long, short = small * math.sqrt(ratio), small / math.sqrt(ratio)
        sides += [(long, short), (short, long)]
    return tuple((float(min(w, side_limit)), float(min(h, side_limit))) for w, h in sides)


def _shares(size: Size, scale: float, following: float, ratios: Sequence[int]) -> Sides:
    """As `_shapes`, in shares of the input's width and height, at most 1."""
    shapes = _shapes(scale, math.sqrt(scale * following), ratios, side_limit=1.0)
    return tuple((w * size[1], h * size[0]) for w, h in shapes)
