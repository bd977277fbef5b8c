"""What a scene is: the description that goes in and the labelled image that comes out."""

import math
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from pocketdet.errors import UsageError

GroundKind = Literal["concrete", "worn", "asphalt", "aggregate"]
GROUND_KINDS: tuple[GroundKind, ...] = get_args(GroundKind)
MIN_SIDE, MAX_SIDE = 32, 2048


@dataclass(frozen=True)
class Placement:
    """One object on the ground.

    Attributes:
        kind: class name, one of `kinds()`.
        x, y: where its middle lies, as shares of the image's width and height.
        angle: turn in degrees, counter-clockwise; most long objects point right at 0.
        scale: factor on its natural size, in [0.1, 10].
        seed: draws its proportions, colours and wear.
    """

    kind: str
    x: float
    y: float
    angle: float = 0.0
    scale: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not (0 <= self.x <= 1 and 0 <= self.y <= 1):
            raise UsageError(
                f"placement of {self.kind}: x and y must lie in [0, 1], got ({self.x}, {self.y})"
            )
        if not 0.1 <= self.scale <= 10:
            raise UsageError(f"placement of {self.kind}: scale must lie in [0.1, 10], got {self.scale}")
        if not math.isfinite(self.angle):
            raise UsageError(f"placement of {self.kind}: angle must be a finite number, got {self.angle}")
        if self.seed < 0:
            raise UsageError(f"placement of {self.kind}: seed must not be negative, got {self.seed}")


@dataclass(frozen=True)
class GroundSpec:
    """The ground and what happened to it.

    Attributes:
        kind: concrete (cast), worn (trowelled and stained), asphalt or aggregate (exposed pebbles).
        tint: linear RGB factor on its natural colour, each in (0, 4].
        cracks: how many cracks cross the image, in [0, 20].
        joint: draw a saw-cut joint.
        marking: draw the edge of a worn painted line.
        stains: strength of oil and water stains in [0, 1].
    """

    kind: GroundKind = "concrete"
    tint: tuple[float, float, float] = (1.0, 1.0, 1.0)
    cracks: int = 0
    joint: bool = False
    marking: bool = False
    stains: float = 0.4

    def __post_init__(self) -> None:
        if self.kind not in GROUND_KINDS:
            raise UsageError(f"ground kind must be one of {', '.join(GROUND_KINDS)}, got {self.kind!r}")
        if not 0 <= self.stains <= 1:
            raise UsageError(f"ground stains must lie in [0, 1], got {self.stains}")
        if not 0 <= self.cracks <= 20:
            raise UsageError(f"ground cracks must lie in [0, 20], got {self.cracks}")
        if not all(0 < channel <= 4 for channel in self.tint):
            raise UsageError(f"ground tint must lie in (0, 4], got {self.tint}")


@dataclass(frozen=True)
class SceneSpec:
    """A scene to render.

    Attributes:
        size: (width, height) of the image in pixels, each in [32, 2048].
        placements: the objects; one that lies on another is drawn through it, so keep them apart.
        view_mm: millimetres of ground that the middle row shows.
        tilt: slant of the camera from straight down, degrees in [0, 45].
        sun_azimuth: where the light comes from, degrees counter-clockwise from the image's right,
            in [-360, 360].
        sun_elevation: height of the sun, degrees in [5, 90].
        haze: 0 for a clear sky with crisp shadows, 1 for an overcast one without.
        ground: what the objects lie on.
        exposure: factor on the automatic exposure.
    """

    size: tuple[int, int] = (320, 320)
    placements: tuple[Placement, ...] = ()
    view_mm: float = 500.0
    tilt: float = 20.0
    sun_azimuth: float = 140.0
    sun_elevation: float = 40.0
    haze: float = 0.1
    ground: GroundSpec = field(default_factory=GroundSpec)
    exposure: float = 1.0

    def __post_init__(self) -> None:
        limits = {
            "width": (self.size[0], MIN_SIDE, MAX_SIDE),
            "height": (self.size[1], MIN_SIDE, MAX_SIDE),
            "view_mm": (self.view_mm, 20, 5000),
            "tilt": (self.tilt, 0, 45),
            "sun_azimuth": (self.sun_azimuth, -360, 360),
            "sun_elevation": (self.sun_elevation, 5, 90),
            "haze": (self.haze, 0, 1),
            "exposure": (self.exposure, 0.1, 10),
        }
        for name, (value, low, high) in limits.items():
            if not low <= value <= high:
                raise UsageError(f"scene {name} must lie in [{low}, {high}], got {value}")


@dataclass(frozen=True)
class Scene:
    """A rendered image and its labels.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        boxes: (N, 4) float32 (x1, y1, x2, y2) pixels, tight around what is visible of each object,
            its shadow left out, inside the image.
        labels: N class names in the order of `boxes`. A placement of which nothing is visible has none.
    """

    image: NDArray[np.uint8]
    boxes: NDArray[np.float32]
    labels: tuple[str, ...]
