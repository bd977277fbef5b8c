"""Stages of a one-stage detector: preprocess -> model -> boxes. Definition: docs/reference/one-stage.md."""

import functools
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pocketdet.errors import UsageError
from pocketdet.runtime import _core
from pocketdet.runtime.bundle.one_stage import OUTPUTS, OneStageManifest
from pocketdet.runtime.engines.base import Array, Engine, GraphName
from pocketdet.runtime.options import DetectorOptions
from pocketdet.runtime.output_fields import Regions, compare_output, output_regions
from pocketdet.runtime.parity import Check, StageValues, Tolerances, compare_detections
from pocketdet.runtime.pipeline import Boxes, Pipeline, Stopwatch

STAGES: Final = ("preprocess", "model", "boxes")


class OneStagePipeline(Pipeline):
    """Pipeline of a one-stage detector. Options override the selection of the manifest.

    Raises:
        UsageError: if the options set `rois`.
    """

    stages = STAGES

    def __init__(self, manifest: OneStageManifest, engine: Engine, options: DetectorOptions) -> None:
        selection = replace(manifest.decode.selection, **options.selection())
        super().__init__(manifest, engine, selection.score_threshold)
        if options.rois is not None:
            raise UsageError(
                f"rois={options.rois}: {manifest.name} is a one-stage detector, which has no proposals"
            )
        self.decode = replace(manifest.decode, selection=selection)
        self._decoder = _core.OneStageDecoder(self.decode)
        self._shapes = {o.role: tuple(n or 0 for n in o.shape) for o in manifest.graphs.model.outputs}

    @functools.cached_property
    def regions(self) -> Regions:
        """The elements of each output, by name, that are compared together."""
        return output_regions(self.decode, self._shapes)

    def model(self, tensor: Array) -> dict[str, Array]:
        """Run the network on a normalised input (3, h, w); return raw outputs by name, without a batch."""
        return self.engine.run("model", {"image": tensor})

    def boxes(self, outputs: Mapping[str, Array], source: tuple[int, int]) -> Boxes:
        """Decode raw outputs to detections in pixels of the original image of size (height, width)."""
        boxes, scores, labels, _ = self._decoder.decode(dict(outputs))
        return Boxes(self.to_original(boxes, source), scores, labels)

    def run(self, image: NDArray[np.uint8], watch: Stopwatch) -> Boxes:
        """See `Pipeline.run`."""
        tensor = watch("preprocess", self.preprocess, image)
        outputs = watch("model", self.model, tensor)
        return watch("boxes", self.boxes, outputs, (image.shape[0], image.shape[1]))

    def network_inputs(
        self, image: NDArray[np.uint8], rois: int | None = None
    ) -> dict[GraphName, dict[str, Array]]:
        """See `Pipeline.network_inputs`."""
        return {"model": {"image": self.preprocess(image)}}

    def compare(self, reference: StageValues, tol: Tolerances) -> list[Check]:
        """See `Pipeline.compare`."""
        outputs = self.model(np.ascontiguousarray(reference["normalised"]))
        wanted = {role: reference[OUTPUTS + role] for role in outputs}
        height, width = reference["image"].shape[:2]
        found = self.boxes(wanted, (height, width))
        checks = [
            check
            for role in outputs
            for check in compare_output(
                f"model.{role}",
                self.regions[role],
                wanted[role],
                outputs[role],
                relative=tol.outputs,
                least_snr_db=tol.least_snr_db,
            )
        ]
        return [*checks, compare_detections("boxes", reference, found, tol)]
