"""The manifest of a bundle, version 2: what a program must know to run a detector it has never seen.

A bundle is untrusted input, so every field is typed strictly, bounded and cross-checked here; a manifest
that passes describes a detector whose stages fit together. Meaning of the numbers: docs/DEFINITIONS.md.
Version 1 did not say what arithmetic a graph was made for; it is read as what ran then, fp32.
"""

import re
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from pocketdet.runtime.precision import Arithmetic, Precision, Storage, narrowest

SCHEMA_VERSION: Final = 2
MANIFEST_NAME = "manifest.json"

Text = Annotated[str, StringConstraints(min_length=1, max_length=200)]
# Bounds keep every number finite, and every divisor above zero, as the float32 it becomes.
Finite = Annotated[float, Field(ge=-1e6, le=1e6, allow_inf_nan=False)]
Positive = Annotated[float, Field(ge=1e-6, le=1e6, allow_inf_nan=False)]
UnitInterval = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Side = Annotated[int, Field(ge=1, le=4096)]
Byte = Annotated[int, Field(ge=0, le=255)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]

_SAFE_PATH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}(/[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}){0,3}")


def is_safe_path(path: str) -> bool:
    """Whether `path` is a plain relative path that stays inside the bundle on every operating system."""
    return _SAFE_PATH.fullmatch(path) is not None


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class FileEntry(_Record):
    """Size in bytes and SHA-256 of one file."""

    size: Annotated[int, Field(ge=0, le=2**31)]
    sha256: Sha256


class TensorSpec(_Record):
    """One input or output blob. `shape` is without the batch; the number of RoIs is `None`."""

    blob: Text
    role: Text
    shape: Annotated[tuple[Side | None, ...], Field(min_length=1, max_length=4)]


class GraphSpec(_Record):
    """One network: its ncnn files, its ONNX twin if the bundle carries it, and its blobs.

    `layer_sources` names, per ncnn blob, the PyTorch module that made the same values at export;
    `arithmetic` is what the graph was made to run in where the processor has it; layers that were kept in
    fp32 say so themselves (`pocketdet.runtime.ncnn_graph.feature_mask`).
    `lane_layouts` is a file that says where the channels of those values lie, if the graph was laid out anew.
    """

    param: Text
    bin: Text
    onnx: Text | None = None
    inputs: Annotated[tuple[TensorSpec, ...], Field(min_length=1, max_length=16)]
    outputs: Annotated[tuple[TensorSpec, ...], Field(min_length=1, max_length=64)]
    layer_sources: Annotated[dict[str, Text], Field(max_length=20_000)] = {}
    lane_layouts: Text | None = None
    arithmetic: Arithmetic = "fp32"


class Graphs(_Record):
    """The two networks of a two-stage detector."""

    features: GraphSpec
    head: GraphSpec

    def by_name(self) -> dict[str, GraphSpec]:
        """The graphs in the order in which they run."""
        return {"features": self.features, "head": self.head}


class InputSize(_Record):
    """Network input in pixels."""

    height: Side
    width: Side


class Preprocessing(_Record):
    """Mean, std (0..255 units) and pad colour are in `channel_order`."""

    channel_order: Literal["RGB", "BGR"]
    mean: tuple[Finite, Finite, Finite]
    std: tuple[Positive, Positive, Positive]
    resize: Literal["stretch", "letterbox"]
    pad: tuple[Byte, Byte, Byte]


class Anchors(_Record):
    """Anchor (width, height) in pixels for each cell of a grid with this stride."""

    stride: Annotated[int, Field(ge=1, le=256)]
    sizes: Annotated[tuple[tuple[Positive, Positive], ...], Field(min_length=1, max_length=256)]


class Proposals(_Record):
    """RPN maps to RoIs."""

    pre_nms_top_n: Annotated[int, Field(ge=1, le=100_000)]
    post_nms_top_n: Annotated[int, Field(ge=1, le=10_000)]
    nms_iou: UnitInterval
    min_size: Annotated[float, Field(ge=0, le=4096, allow_inf_nan=False)]


class RoIHead(_Record):
    """PSRoI align and the box coding of the head."""

    alpha: Annotated[int, Field(ge=1, le=64)]
    pool_size: Annotated[int, Field(ge=1, le=32)]
    sampling_ratio: Annotated[int, Field(ge=1, le=8)]
    delta_std: tuple[Positive, Positive, Positive, Positive]


class Postprocessing(_Record):
    """Head outputs to detections; a caller may override these."""

    score_threshold: UnitInterval
    nms: Literal["hard", "linear", "gaussian"]
    nms_iou: UnitInterval
    sigma: Positive
    max_detections: Annotated[int, Field(ge=1, le=10_000)]


class Layout(_Record):
    """Layout of the ncnn files: the narrowest storage of a weight, the lanes that channels are padded to (1:
    none), and the machines that this was decided for. Lanes are for speed: every bundle runs everywhere.

    `fp32_modules` are the PyTorch modules whose weights are stored in fp32 where others are not.
    """

    weight_storage: Storage
    lanes: Literal[1, 4, 8, 16]
    target: Text | None = None
    fp32_modules: Annotated[tuple[Text, ...], Field(max_length=20_000)] = ()


class Golden(_Record):
    """A small lossless input image and what PyTorch made of it, stage by stage."""

    image: Text
    stages: Text


class Manifest(_Record):
    """Everything about a bundle but its weights."""

    schema_version: Literal[2]
    name: Text
    task: Literal["object-detection"]
    detector: Literal["two-stage"]
    architecture: Text
    input: InputSize
    class_names: Annotated[tuple[Text, ...], Field(min_length=1, max_length=10_000)]
    preprocessing: Preprocessing
    graphs: Graphs
    anchors: Anchors
    proposals: Proposals
    roi_head: RoIHead
    postprocessing: Postprocessing
    layout: Layout
    golden: Golden
    reference_weights: Text | None = None
    tools: Annotated[dict[str, str], Field(max_length=64)]
    card: Annotated[dict[str, str], Field(max_length=256)] = {}
    files: Annotated[dict[str, FileEntry], Field(max_length=64)]

    @property
    def precision(self) -> Precision:
        """How the bundle is stored and what it was made to run in, the narrowest of its two graphs."""
        every = (graph.arithmetic for graph in self.graphs.by_name().values())
        return Precision(self.layout.weight_storage, narrowest(every))

    @model_validator(mode="after")
    def _paths_are_listed(self) -> Self:
        for path in self.files:
            if not is_safe_path(path):
                raise ValueError(f"file name {path!r} is not a plain path inside the bundle")
        named = [self.golden.image, self.golden.stages]
        for graph in self.graphs.by_name().values():
            named += [graph.param, graph.bin, *(f for f in (graph.onnx, graph.lane_layouts) if f)]
        named += [self.reference_weights] if self.reference_weights else []
        for path in named:
            if path not in self.files:
                raise ValueError(f"{path!r} is used but not listed under files")
        return self

    @model_validator(mode="after")
    def _stages_fit_together(self) -> Self:
        cells = self.input.height // self.anchors.stride, self.input.width // self.anchors.stride
        per_cell, thin = len(self.anchors.sizes), self.roi_head.alpha * self.roi_head.pool_size**2
        outputs = len(self.class_names) + 1 + 4
        expected: dict[tuple[str, str], tuple[int | None, ...]] = {
            ("features", "rpn_scores"): (2 * per_cell, *cells),
            ("features", "rpn_deltas"): (4 * per_cell, *cells),
            ("features", "sam"): (thin, *cells),
            ("head", "class_logits_and_deltas"): (None, outputs),
        }
        found = {
            (name, spec.role): spec.shape
            for name, graph in self.graphs.by_name().items()
            for spec in graph.outputs
        }
        found |= {("features", "image"): self.graphs.features.inputs[0].shape}
        found |= {("head", "roi_features"): self.graphs.head.inputs[0].shape}
        expected |= {("features", "image"): (3, self.input.height, self.input.width)}
        expected |= {("head", "roi_features"): (None, thin)}
        if expected != found:
            wrong = next(k for k in sorted(expected | found) if expected.get(k) != found.get(k))
            raise ValueError(
                f"blob {wrong[1]!r} of graph {wrong[0]!r}: expected shape {expected.get(wrong)}, "
                f"found {found.get(wrong)}"
            )
        return self
