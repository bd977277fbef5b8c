"""The stages of a detector in C++, which are one call: see `runtime/native/detector`."""

import numpy as np
from numpy.typing import NDArray

from pocketdet.errors import UsageError
from pocketdet.runtime.bundle.one_stage import OneStageManifest
from pocketdet.runtime.bundle.schema import Manifest
from pocketdet.runtime.bundle.two_stage import TwoStageManifest
from pocketdet.runtime.engines.base import Array, GraphName
from pocketdet.runtime.engines.native_engine import NativeEngine
from pocketdet.runtime.options import DetectorOptions
from pocketdet.runtime.parity import Check, StageValues, Tolerances
from pocketdet.runtime.pipeline import Boxes, Pipeline, Stopwatch


class NativePipeline(Pipeline):
    """Pipeline of either kind of detector whose stages cannot be run one by one.

    Raises:
        UsageError: for an option that this kind of detector does not have.
    """

    def __init__(self, manifest: Manifest, engine: NativeEngine, options: DetectorOptions) -> None:
        own, threshold = _score_threshold(manifest), options.score_threshold
        super().__init__(manifest, engine, own if threshold is None else threshold)
        self._native = engine.with_options(options)
        self.stages = self._native.stages

    def run(self, image: NDArray[np.uint8], watch: Stopwatch) -> Boxes:
        """See `Pipeline.run`."""
        found = self._native.detect(image)
        watch.milliseconds.update(zip(self.stages, found.milliseconds, strict=True))
        return Boxes(found.boxes, found.scores, found.labels)

    def count_proposals(self, image: NDArray[np.uint8]) -> int:
        """See `Pipeline.count_proposals`."""
        return self._native.detect(image).rois

    def compare(self, reference: StageValues, tol: Tolerances) -> list[Check]:
        """Return nothing: no stage takes the inputs of a reference. `pocketdet-run verify` compares them."""
        return []

    def network_inputs(
        self, image: NDArray[np.uint8], rois: int | None = None
    ) -> dict[GraphName, dict[str, Array]]:
        """Raise `UsageError`."""
        raise UsageError("engine 'native' gives no inputs of networks: use engine 'ncnn'")


def _score_threshold(manifest: Manifest) -> float:
    if isinstance(manifest, OneStageManifest):
        return manifest.decode.selection.score_threshold
    assert isinstance(manifest, TwoStageManifest)
    return manifest.postprocessing.score_threshold
