"""What the stages of all detectors share: a picture in, boxes out, each stage timed.

`two_stage` and `one_stage` have the stages between; `make_pipeline` picks. `Detector` runs the stages in a
row, `stages` each on its own. Definitions: docs/reference/definitions.md, docs/reference/one-stage.md.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar, ParamSpec, TypeVar

import numpy as np
from numpy.typing import NDArray

from pocketdet.runtime import _core
from pocketdet.runtime.bundle.schema import Manifest
from pocketdet.runtime.engines.base import Array, Engine, GraphName
from pocketdet.runtime.parity import Check, StageValues
from pocketdet.runtime.tolerances import Tolerances

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
    """Runs stages and keeps the wall time of each, in milliseconds."""

    milliseconds: dict[str, float] = field(default_factory=dict)

    def __call__(self, stage: str, step: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What `step` returns."""
        start = time.perf_counter()
        result = step(*args, **kwargs)
        self.milliseconds[stage] = 1e3 * (time.perf_counter() - start)
        return result


class Pipeline(ABC):
    """The stages of one bundle. Stateless between calls, so safe from several threads."""

    stages: ClassVar[tuple[str, ...]]

    def __init__(self, manifest: Manifest, engine: Engine, score_threshold: float) -> None:
        self.engine = engine
        self.score_threshold = score_threshold
        self._preprocessing = manifest.preprocessing
        self._size = (manifest.input.height, manifest.input.width)

    def resize(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """RGB (H, W, 3) to the network's size and channel order, still uint8."""
        p = self._preprocessing
        return _core.resize_image(image, "RGB", self._size, p.resize, p.channel_order, p.pad)

    def preprocess(self, image: NDArray[np.uint8]) -> Array:
        """RGB (H, W, 3) to the normalised network input (3, h, w), resize included."""
        p = self._preprocessing
        return _core.preprocess(image, "RGB", self._size, p.resize, p.channel_order, p.pad, p.mean, p.std)

    def to_original(self, boxes: Array, source: tuple[int, int]) -> Array:
        """Boxes in network pixels to those of the original (height, width)."""
        return _core.to_original(boxes, source, self._size, self._preprocessing.resize)

    @abstractmethod
    def run(self, image: NDArray[np.uint8], watch: Stopwatch) -> Boxes:
        """All stages of one picture (H, W, 3) RGB in a row, each timed under its name in `stages`."""

    @abstractmethod
    def compare(self, reference: StageValues, tol: Tolerances) -> list[Check]:
        """The stages after preprocessing, each fed with the reference's own inputs."""

    @abstractmethod
    def network_inputs(
        self, image: NDArray[np.uint8], rois: int | None = None
    ) -> dict[GraphName, dict[str, Array]]:
        """What each network is given for a picture, by graph and role, in the order in which they run.

        `rois`: rows for the head, real ones repeated or cut; as many as the picture has by default.
        """

    def count_proposals(self, image: NDArray[np.uint8]) -> int:
        """Regions that a picture's head is run on; 0 for a detector without such a stage."""
        return 0
