"""The manifest of a bundle, version 3: what a program must know to run a detector it has never seen.

A bundle is untrusted input, so every field is typed strictly, bounded and cross-checked; a manifest that
passes describes a detector whose stages fit together. Here is what all detectors have; `two_stage` and
`one_stage` add what is theirs. docs/reference/definitions.md and one-stage.md define the numbers.
Version 1 did not say what arithmetic a graph was made for; it is read as what ran then, fp32. Versions 1 and
2 knew two-stage detectors only.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from pocketdet.runtime import _core
from pocketdet.runtime.precision import Arithmetic, Precision, Storage, narrowest

SCHEMA_VERSION: Final = 3
MANIFEST_NAME = "manifest.json"


def _shown(text: str) -> str:
    if _core.has_unprintable(text):
        raise ValueError("expected no control characters and others that cannot be shown")
    return text


Text = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(_shown)]
# Bounds keep every number finite, and every divisor above zero, as the float32 it becomes.
Finite = Annotated[float, Field(ge=-1e6, le=1e6, allow_inf_nan=False)]
Positive = Annotated[float, Field(ge=1e-6, le=1e6, allow_inf_nan=False)]
UnitInterval = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Side = Annotated[int, Field(ge=1, le=4096)]
Length = Annotated[int, Field(ge=1, le=1 << 24)]
Byte = Annotated[int, Field(ge=0, le=255)]
# Name: (type, shape). An axis is its length, or a name for a length that is the same wherever it appears.
StageShapes = Mapping[str, tuple[str, tuple[int | str, ...]]]

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]

_SAFE_PATH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}(/[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}){0,3}")


def is_safe_path(path: str) -> bool:
    """Whether `path` is a plain relative path that stays inside the bundle on every operating system."""
    return _SAFE_PATH.fullmatch(path) is not None


class Record(BaseModel):
    """Strict and frozen; unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class FileEntry(Record):
    """Size in bytes and SHA-256 of one file."""

    size: Annotated[int, Field(ge=0, le=2**31)]
    sha256: Sha256


class TensorSpec(Record):
    """One input or output blob. `shape` is without the batch; the number of RoIs is `None`."""

    blob: Text
    role: Text
    shape: Annotated[tuple[Length | None, ...], Field(min_length=1, max_length=4)]


class GraphSpec(Record):
    """One network: its ncnn files, its ONNX twin if the bundle carries it, and its blobs.

    `layer_sources` names, per ncnn blob, the PyTorch module that made the same values at export;
    `arithmetic` is what the graph was made to run in where the processor has it; layers that were kept in
    fp32 say so themselves (`pocketdet.runtime.ncnn_graph.feature_mask`).
    `lane_layouts` is a file that says where the channels of those values lie, if they were aligned.
    """

    param: Text
    bin: Text
    onnx: Text | None = None
    inputs: Annotated[tuple[TensorSpec, ...], Field(min_length=1, max_length=16)]
    outputs: Annotated[tuple[TensorSpec, ...], Field(min_length=1, max_length=64)]
    layer_sources: Annotated[dict[str, Text], Field(max_length=20_000)] = {}
    lane_layouts: Text | None = None
    arithmetic: Arithmetic = "fp32"

    def input_shapes(self, rois: int) -> dict[str, tuple[int, ...]]:
        """By blob, an axis of unknown length being that of `rois` RoIs."""
        return {t.blob: tuple(rois if n is None else n for n in t.shape) for t in self.inputs}

    @property
    def is_batched(self) -> bool:
        """Whether blobs of the ONNX twin have a batch axis of 1 before the shape given here; RoIs do not."""
        return all(None not in source.shape for source in self.inputs)


class Graphs(Record):
    """The networks of a detector, a field each, in the order in which they run."""

    def by_name(self) -> dict[str, GraphSpec]:
        """The graphs in the order in which they run."""
        return {name: getattr(self, name) for name in type(self).model_fields}


class InputSize(Record):
    """Network input in pixels."""

    height: Side
    width: Side


class Preprocessing(Record):
    """Mean, std (0..255 units) and pad colour are in `channel_order`."""

    channel_order: Literal["RGB", "BGR"]
    mean: tuple[Finite, Finite, Finite]
    std: tuple[Positive, Positive, Positive]
    resize: Literal["stretch", "letterbox"]
    pad: tuple[Byte, Byte, Byte]


class Layout(Record):
    """Layout of the ncnn files: the narrowest storage of a weight, the lanes that channels are padded to (1:
    none), and the machines that this was decided for. Lanes are for speed: every bundle runs everywhere.

    `fp32_modules` are the PyTorch modules whose weights are stored in fp32 where others are not.
    """

    weight_storage: Storage
    lanes: Literal[1, 4, 8, 16]
    target: Text | None = None
    fp32_modules: Annotated[tuple[Text, ...], Field(max_length=20_000)] = ()


class Golden(Record):
    """A small lossless input image and what PyTorch made of it, stage by stage."""

    image: Text
    stages: Text


class Manifest(Record, ABC):
    """Everything about a bundle but its weights, of whatever kind its detector is."""

    schema_version: Literal[3]
    name: Text
    task: Literal["object-detection"]
    detector: Literal["two-stage", "one-stage"]
    architecture: Text
    input: InputSize
    class_names: Annotated[tuple[Text, ...], Field(min_length=1, max_length=10_000)]
    preprocessing: Preprocessing
    graphs: Graphs
    layout: Layout
    golden: Golden
    reference_weights: Text | None = None
    tools: Annotated[dict[str, str], Field(max_length=64)]
    card: Annotated[dict[str, str], Field(max_length=256)] = {}
    files: Annotated[dict[str, FileEntry], Field(max_length=64)]

    @property
    def precision(self) -> Precision:
        """How the bundle is stored and what it was made to run in, the narrowest of its graphs."""
        every = (graph.arithmetic for graph in self.graphs.by_name().values())
        return Precision(self.layout.weight_storage, narrowest(every))

    @property
    def has_onnx(self) -> bool:
        """Whether the bundle carries the ONNX twins of all its graphs."""
        return all(graph.onnx for graph in self.graphs.by_name().values())

    @property
    @abstractmethod
    def most_rois(self) -> int:
        """What an axis of unknown length (`None` in a `TensorSpec`) may come to."""

    @abstractmethod
    def network_stages(self) -> StageShapes:
        """The arrays of golden between the network's input and the detections, in the order of the stages."""

    def golden_stages(self) -> StageShapes:
        """All arrays of golden, in the order of the stages; H, W: the picture, N: its detections."""
        height, width = self.input.height, self.input.width
        return {
            "image": ("uint8", ("H", "W", 3)),  # RGB, after decoding
            "image_rows": ("int64", ("H", 3)),  # sums over each row: proof of the picture's decoder
            "resized": ("uint8", (height, width, 3)),  # in the network's channel order
            "normalised": ("float32", (3, height, width)),
            **self.network_stages(),
            "boxes": ("float32", ("N", 4)),  # original pixels
            "scores": ("float32", ("N",)),
            "labels": ("int32", ("N",)),
        }

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
