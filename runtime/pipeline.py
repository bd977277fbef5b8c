"""The stages of a two-stage detector, each a function of the one before, bound to a bundle.

decode -> resize -> normalise -> features -> proposals -> RoI features -> head -> boxes.
Definitions: docs/DEFINITIONS.md. `Detector` runs them in a row; `stages` runs each on its own.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pocketdet.runtime import _core
from pocketdet.runtime.bundle.schema import Manifest, Postprocessing
from pocketdet.runtime.engines.base import Array, Engine
from pocketdet.runtime.options import DetectorOptions


@dataclass(frozen=True)
class RoIs:
    """Proposals: boxes (R, 4) in network input pixels, anchor indices (R,), objectness logits (R,)."""

    boxes: Array
    indices: NDArray[np.int32]
    logits: Array


@dataclass(frozen=True)
class Boxes:
    """Detections: boxes (N, 4) in original pixels, scores (N,) in [0, 1], labels (N,) from 0."""

    boxes: Array
    scores: Array
    labels: NDArray[np.int32]


class Pipeline:
    """The stages of one bundle. Stateless between calls, so safe from several threads."""

    def __init__(self, manifest: Manifest, engine: Engine, options: DetectorOptions) -> None:
        self._manifest = manifest
        self._engine = engine
        self._size = (manifest.input.height, manifest.input.width)
        self._sizes = np.array(manifest.anchors.sizes, np.float32)
        self._rois = options.rois or manifest.proposals.post_nms_top_n
        self._post = _override(manifest.postprocessing, options)

    def resize(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """RGB (H, W, 3) to the network's size and channel order, still uint8."""
        p = self._manifest.preprocessing
        return _core.resize_image(image, "RGB", self._size, p.resize, p.channel_order, p.pad)

    def preprocess(self, image: NDArray[np.uint8]) -> Array:
        """RGB (H, W, 3) to the normalised network input (3, h, w), resize included."""
        p = self._manifest.preprocessing
        return _core.preprocess(image, "RGB", self._size, p.resize, p.channel_order, p.pad, p.mean, p.std)

    def features(self, tensor: Array) -> dict[str, Array]:
        """Normalised input to rpn_scores (2A, h, w), rpn_deltas (4A, h, w) and sam (245, h, w)."""
        return self._engine.run("features", {"image": tensor})

    def propose(self, rpn_scores: Array, rpn_deltas: Array) -> RoIs:
        """RPN maps to at most `rois` proposals."""
        p = self._manifest.proposals
        found = _core.propose(
            rpn_scores,
            rpn_deltas,
            self._sizes,
            self._manifest.anchors.stride,
            self._size,
            p.pre_nms_top_n,
            self._rois,
            p.nms_iou,
            p.min_size,
        )
        return RoIs(*found)

    def roi_features(self, sam: Array, rois: Array) -> Array:
        """PSRoI align: (R, alpha * p * p)."""
        h = self._manifest.roi_head
        return _core.psroi_align(sam, rois, self._manifest.anchors.stride, h.pool_size, h.sampling_ratio)

    def head(self, roi_features: Array) -> Array:
        """RoI features to class logits and deltas in one (R, classes + 1 + 4) array."""
        return self._engine.run("head", {"roi_features": roi_features})["class_logits_and_deltas"]

    def boxes(self, head: Array, rois: Array, source: tuple[int, int]) -> Boxes:
        """Head outputs to detections in the pixels of the original (height, width)."""
        post = self._post
        boxes, scores, labels, _ = _core.detect(
            head[:, :-4],
            head[:, -4:],
            rois,
            self._manifest.roi_head.delta_std,
            self._size,
            post.score_threshold,
            post.nms,
            post.nms_iou,
            post.sigma,
            post.max_detections,
        )
        rule = self._manifest.preprocessing.resize
        return Boxes(_core.to_original(boxes, source, self._size, rule), scores, labels)


def _override(post: Postprocessing, options: DetectorOptions) -> Postprocessing:
    chosen = {
        "score_threshold": options.score_threshold,
        "nms": options.nms,
        "nms_iou": options.nms_iou,
        "max_detections": options.max_detections,
    }
    return post.model_copy(update={k: v for k, v in chosen.items() if v is not None})
