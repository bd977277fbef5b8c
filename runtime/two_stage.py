"""The stages of a two-stage detector.

preprocess -> features -> proposals -> RoI features -> head -> boxes. See docs/reference/definitions.md.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pocketdet.runtime import _core
from pocketdet.runtime.bundle.two_stage import TwoStageManifest
from pocketdet.runtime.engines.base import Array, Engine, GraphName
from pocketdet.runtime.options import DetectorOptions
from pocketdet.runtime.parity import Check, StageValues, Tolerances, compare, compare_detections
from pocketdet.runtime.pipeline import Boxes, Pipeline, Stopwatch

STAGES: Final = ("preprocess", "features", "proposals", "roi_align", "head", "boxes")


@dataclass(frozen=True)
class RoIs:
    """Proposals: boxes (R, 4) in network input pixels, anchor indices (R,), objectness logits (R,)."""

    boxes: Array
    indices: NDArray[np.int32]
    logits: Array


class TwoStagePipeline(Pipeline):
    """Pipeline of a two-stage detector. Options override the post-processing of the manifest."""

    stages = STAGES

    def __init__(self, manifest: TwoStageManifest, engine: Engine, options: DetectorOptions) -> None:
        post = manifest.postprocessing.model_copy(update=options.selection())
        super().__init__(manifest, engine, post.score_threshold)
        self._sizes = np.array(manifest.anchors.sizes, np.float32)
        self._stride = manifest.anchors.stride
        self._proposals = manifest.proposals
        self._roi_head = manifest.roi_head
        self._rois = options.rois or manifest.proposals.post_nms_top_n
        self._post = post

    def features(self, tensor: Array) -> dict[str, Array]:
        """Run the features graph: rpn_scores (2A, h, w), rpn_deltas (4A, h, w), sam (alpha p^2, h, w)."""
        return self.engine.run("features", {"image": tensor})

    def propose(self, rpn_scores: Array, rpn_deltas: Array) -> RoIs:
        """Return at most `rois` proposals from RPN maps."""
        p = self._proposals
        found = _core.propose(
            rpn_scores,
            rpn_deltas,
            self._sizes,
            self._stride,
            self._size,
            p.pre_nms_top_n,
            self._rois,
            p.nms_iou,
            p.min_size,
        )
        return RoIs(*found)

    def roi_features(self, sam: Array, rois: Array) -> Array:
        """Apply PSRoI align; returns (R, alpha * p * p)."""
        h = self._roi_head
        return _core.ps_roi_align(sam, rois, self._stride, h.pool_size, h.sampling_ratio)

    def head(self, roi_features: Array) -> Array:
        """Run the head on RoI features; returns class logits and deltas (R, classes + 1 + 4)."""
        return self.engine.run("head", {"roi_features": roi_features})["class_logits_and_deltas"]

    def boxes(self, head: Array, rois: Array, source: tuple[int, int]) -> Boxes:
        """Decode head outputs to detections in pixels of the original image of size (height, width)."""
        post = self._post
        boxes, scores, labels, _ = _core.detect(
            head[:, :-4],
            head[:, -4:],
            rois,
            self._roi_head.delta_std,
            self._size,
            post.score_threshold,
            post.nms,
            post.nms_iou,
            post.sigma,
            post.max_detections,
        )
        return Boxes(self.to_original(boxes, source), scores, labels)

    def run(self, image: NDArray[np.uint8], watch: Stopwatch) -> Boxes:
        """See `Pipeline.run`."""
        tensor = watch("preprocess", self.preprocess, image)
        maps = watch("features", self.features, tensor)
        rois = watch("proposals", self.propose, maps["rpn_scores"], maps["rpn_deltas"])
        features = watch("roi_align", self.roi_features, maps["sam"], rois.boxes)
        head = watch("head", self.head, features)
        return watch("boxes", self.boxes, head, rois.boxes, (image.shape[0], image.shape[1]))

    def network_inputs(
        self, image: NDArray[np.uint8], rois: int | None = None
    ) -> dict[GraphName, dict[str, Array]]:
        """See `Pipeline.network_inputs`. An image without proposals yields one row of zeros."""
        tensor = self.preprocess(image)
        maps = self.features(tensor)
        found = self.propose(maps["rpn_scores"], maps["rpn_deltas"]).boxes
        rows = self.roi_features(maps["sam"], found)
        if len(rows) == 0:
            rows = np.zeros((1, rows.shape[1]), np.float32)
        chosen = np.arange(len(rows) if rois is None else rois) % len(rows)
        return {"features": {"image": tensor}, "head": {"roi_features": np.ascontiguousarray(rows[chosen])}}

    def count_proposals(self, image: NDArray[np.uint8]) -> int:
        """See `Pipeline.count_proposals`."""
        maps = self.features(self.preprocess(image))
        return len(self.propose(maps["rpn_scores"], maps["rpn_deltas"]).boxes)

    def compare(self, reference: StageValues, tol: Tolerances) -> list[Check]:
        """See `Pipeline.compare`."""
        ref, snr = reference, tol.least_snr_db
        maps = self.features(np.ascontiguousarray(ref["normalised"]))
        rois = self.propose(ref["rpn_scores"], ref["rpn_deltas"])
        roi_features = self.roi_features(ref["sam"], ref["proposal_boxes"])
        head = self.head(np.ascontiguousarray(ref["roi_features"]))
        height, width = ref["image"].shape[:2]
        found = self.boxes(ref["head"], ref["proposal_boxes"], (height, width))
        return [
            *(
                compare(f"features.{role}", ref[role], maps[role], relative=tol.features, least_snr_db=snr)
                for role in ("rpn_scores", "rpn_deltas", "sam")
            ),
            compare("proposals.anchors", ref["proposal_indices"], rois.indices),
            compare("proposals.boxes", ref["proposal_boxes"], rois.boxes, absolute=tol.proposal_pixels),
            compare("roi_features", ref["roi_features"], roi_features, relative=tol.roi_features),
            compare("head", ref["head"], head, relative=tol.head, least_snr_db=snr),
            compare_detections("boxes", ref, found, tol),
        ]
