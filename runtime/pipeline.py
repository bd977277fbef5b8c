"""The stages of a detector, from the image to the boxes.

`Detector` runs all stages; `verification` runs each stage on its own. The C++ detector
(`runtime/native/detector`) is one call for all of them. Definitions: docs/reference/definitions.md,
docs/reference/one-stage.md.
"""

import functools
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, ParamSpec, TypeVar

import numpy as np
from numpy.typing import NDArray

from pocketdet.errors import UsageError
from pocketdet.runtime import _core
from pocketdet.runtime.bundle.one_stage import OUTPUTS, OneStageManifest
from pocketdet.runtime.bundle.schema import Manifest
from pocketdet.runtime.bundle.two_stage import TwoStageManifest
from pocketdet.runtime.engines.base import Array, Engine, GraphName
from pocketdet.runtime.engines.native_library import NativeEngine
from pocketdet.runtime.options import DetectorOptions
from pocketdet.runtime.output_fields import Regions, compare_output, output_regions
from pocketdet.runtime.parity import Check, StageValues, Tolerances, compare, compare_detections

ONE_STAGE_STAGES: Final = ("preprocess", "model", "boxes")
TWO_STAGE_STAGES: Final = ("preprocess", "features", "proposals", "roi_align", "head", "boxes")

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


@dataclass(frozen=True)
class RoIs:
    """Proposals: boxes (R, 4) in network input pixels, anchor indices (R,), objectness logits (R,)."""

    boxes: Array
    indices: NDArray[np.int32]
    logits: Array


class TwoStagePipeline(Pipeline):
    """Pipeline of a two-stage detector. Options override the post-processing of the manifest."""

    stages = TWO_STAGE_STAGES

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
            post.per_class,
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


class OneStagePipeline(Pipeline):
    """Pipeline of a one-stage detector. Options override the selection of the manifest.

    Raises:
        UsageError: if the options set `rois`.
    """

    stages = ONE_STAGE_STAGES

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
