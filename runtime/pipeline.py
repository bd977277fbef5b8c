"""The stages that all detectors share: preprocessing, mapping of boxes to the original image, timing.

`two_stage` and `one_stage` implement the other stages. `Detector` runs all stages; `verification` runs each
stage on its own. Definitions: docs/reference/definitions.md, docs/reference/one-stage.md.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ParamSpec, TypeVar

import numpy as np
from numpy.typing import NDArray

from pocketdet.runtime import _core
from pocketdet.runtime.bundle.schema import Manifest
from pocketdet.runtime.engines.base import Array, Engine, GraphName
from pocketdet.runtime.parity import Check, StageValues, Tolerances

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class Boxes:
    """Detections: boxes (N, 4) in original pixels, scores (N,) in [0, 1], labels (N,) from 0."""

    boxes: Array
    scores: Array
    labels: NDArray[np.int32]


@dataclass(frozen=True)
class Stopwatch:
    """Runs stages and records the wall time of each in milliseconds."""

    milliseconds: dict[str, float] = field(default_factory=dict)

    def __call__(self, stage: str, step: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `step`, record its time under `stage` and return its result."""
        start = time.perf_counter()
        result = step(*args, **kwargs)
        self.milliseconds[stage] = 1e3 * (time.perf_counter() - start)
        return result


class Pipeline(ABC):
    """The stages of one bundle. Stateless and therefore thread-safe."""

    stages: tuple[str, ...]

    def __init__(self, manifest: Manifest, engine: Engine, score_threshold: float) -> None:
        self.engine = engine
        self.score_threshold = score_threshold
        self._preprocessing = manifest.preprocessing
        self._size = (manifest.input.height, manifest.input.width)

    def resize(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Resize RGB (H, W, 3) to the network's size and channel order, uint8."""
        p = self._preprocessing
        return _core.resize_image(image, "RGB", self._size, p.resize, p.channel_order, p.pad)

    def preprocess(self, image: NDArray[np.uint8]) -> Array:
        """Resize and normalise RGB (H, W, 3) to the network input (3, h, w), float32."""
        p = self._preprocessing
        return _core.preprocess(image, "RGB", self._size, p.resize, p.channel_order, p.pad, p.mean, p.std)

    def to_original(self, boxes: Array, source: tuple[int, int]) -> Array:
        """Map boxes (N, 4) from network pixels to pixels of the original image of size (height, width)."""
        return _core.to_original(boxes, source, self._size, self._preprocessing.resize)

    @abstractmethod
    def run(self, image: NDArray[np.uint8], watch: Stopwatch) -> Boxes:
        """Run all stages on an RGB image (H, W, 3); `watch` records each under its name in `stages`."""

    @abstractmethod
    def compare(self, reference: StageValues, tol: Tolerances) -> list[Check]:
        """Compare the stages after preprocessing, each run on the reference's inputs."""

    @abstractmethod
    def network_inputs(
        self, image: NDArray[np.uint8], rois: int | None = None
    ) -> dict[GraphName, dict[str, Array]]:
        """Return the inputs of each network for an image, by graph and role, in execution order.

        Args:
            image: RGB (H, W, 3) uint8.
            rois: rows of the head's input, by repetition or truncation. Default: the proposals of the image.
        """

    def count_proposals(self, image: NDArray[np.uint8]) -> int:
        """Return the number of proposals of an image; 0 for a one-stage detector."""
        return 0
