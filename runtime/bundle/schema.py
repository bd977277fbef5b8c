"""The manifest of a bundle at one input size, schema version 4.

A bundle is untrusted input: all fields have strict types and bounds and are checked against each other, so
the stages of a valid manifest fit together. This module has the fields of all detectors; `two_stage` and
`one_stage` add their own. docs/reference/definitions.md and one-stage.md define the numbers. Version 1 had no
arithmetic of graphs and is read as fp32. Versions 1 and 2 had two-stage detectors only. Version 3 had other
words for anchors and box encodings (`pocketdet.spec.one_stage_words`). Version 5 adds further input sizes,
each of which `manifest` reads as a manifest of version 4. Version 6 adds `per_class` to two-stage detectors.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from pocketdet.runtime import _core
from pocketdet.runtime.precision import Arithmetic, Precision, Storage, narrowest

SCHEMA_VERSION: Final = 4  # of a bundle with one input size
SIZES_VERSION: Final = 5  # of a bundle with several, which programs for version 4 cannot read
LAST_VERSION: Final = 6  # of a two-stage detector whose suppression is not per class
MAX_SIZES: Final = 8
MANIFEST_NAME = "manifest.json"


def _printable(text: str) -> str:
    if _core.has_unprintable(text):
        raise ValueError("expected no control characters and others that cannot be shown")
    return text


Text = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(_printable)]
# Bounds keep all numbers finite and all divisors above zero after conversion to float32.
Finite = Annotated[float, Field(ge=-1e6, le=1e6, allow_inf_nan=False)]
Positive = Annotated[float, Field(ge=1e-6, le=1e6, allow_inf_nan=False)]
UnitInterval = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Side = Annotated[int, Field(ge=1, le=4096)]
Length = Annotated[int, Field(ge=1, le=1 << 24)]
Byte = Annotated[int, Field(ge=0, le=255)]
# Name: (type, shape). An axis is a length, or a symbol for a length that is the same wherever it appears.
StageShapes = Mapping[str, tuple[str, tuple[int | str, ...]]]

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]

_SAFE_PATH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}(/[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}){0,3}")


def is_safe_path(path: str) -> bool:
    """Whether `path` is a plain relative path that stays inside the bundle on every operating system."""
    return _SAFE_PATH.fullmatch(path) is not None


class Record(BaseModel):
    """Base class: strict types, immutable, no unknown fields."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class FileEntry(Record):
    """Size in bytes and SHA-256 of one file."""

    size: Annotated[int, Field(ge=0, le=2**31)]
    sha256: Sha256


class TensorSpec(Record):
    """One input or output blob. `shape` has no batch axis; an axis of RoIs is `None`."""

    blob: Text
    role: Text
    shape: Annotated[tuple[Length | None, ...], Field(min_length=1, max_length=4)]


class GraphSpec(Record):
    """One network: its ncnn files, blobs and optional ONNX counterpart.

    Attributes:
        param, bin: ncnn files.
        onnx: ONNX counterpart, absent from slim bundles and for further input sizes.
        inputs, outputs: blobs of the graph.
        layer_sources: the PyTorch module of each ncnn blob with equal values at export.
        lane_layouts: file with the channel positions of those blobs, if channels were aligned.
        arithmetic: intended arithmetic. Layers that stay in fp32 are marked in the .param file
            (`pocketdet.runtime.ncnn_graph.feature_mask`).
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
        """Return the input shapes by blob for `rois` RoIs."""
        return {t.blob: tuple(rois if n is None else n for n in t.shape) for t in self.inputs}

    @property
    def is_batched(self) -> bool:
        """Whether blobs of the ONNX counterpart have a batch axis of 1. Graphs of RoIs do not."""
        return all(None not in source.shape for source in self.inputs)


class Graphs(Record):
    """The networks of a detector, one field each, in execution order."""

    def by_name(self) -> dict[str, GraphSpec]:
        """Return the graphs by name in execution order."""
        return {name: getattr(self, name) for name in type(self).model_fields}


# (height, width) in pixels, or the side of a square.
SizeChoice = int | tuple[int, int]


class InputSize(Record):
    """Size of the network input in pixels. As text HEIGHTxWIDTH."""

    height: Side
    width: Side

    def __str__(self) -> str:
        return f"{self.height}x{self.width}"

    def is_size(self, size: SizeChoice) -> bool:
        """Whether `size` is this size."""
        return (self.height, self.width) == (size if isinstance(size, tuple) else (size, size))


class Preprocessing(Record):
    """Preprocessing. Mean, std (in units of 0..255) and the pad colour are in `channel_order`."""

    channel_order: Literal["RGB", "BGR"]
    mean: tuple[Finite, Finite, Finite]
    std: tuple[Positive, Positive, Positive]
    resize: Literal["stretch", "letterbox", "letterbox_top_left"]
    pad: tuple[Byte, Byte, Byte]


class Layout(Record):
    """Storage and channel alignment of the ncnn files. Every bundle runs on every machine.

    Attributes:
        weight_storage: the narrowest weight type.
        lanes: channels are padded to multiples of this number of SIMD lanes; 1 means no alignment.
        target: the machines that the alignment is for.
        fp32_modules: PyTorch modules whose weights are stored in fp32 although others are not.
    """

    weight_storage: Storage
    lanes: Literal[1, 4, 8, 16]
    target: Text | None = None
    fp32_modules: Annotated[tuple[Text, ...], Field(max_length=20_000)] = ()


class Golden(Record):
    """The golden data: file names of a small lossless image and of PyTorch's values of each stage.

    Attributes:
        image, stages: the files.
        score_threshold: threshold of the golden detections, if it is not the detector's own.
    """

    image: Text
    stages: Text
    score_threshold: UnitInterval | None = None


class Manifest(Record, ABC):
    """Description of a detector; everything in a bundle except weights and golden data."""

    size_fields: ClassVar[tuple[str, ...]] = ("input", "graphs", "layout", "golden")
    """The fields that each further input size of a bundle has of its own."""

    schema_version: Literal[4]
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
    files: Annotated[dict[str, FileEntry], Field(max_length=128)]

    @property
    def precision(self) -> Precision:
        """Weight storage and intended arithmetic, the narrowest of all graphs."""
        every: list[Arithmetic] = [graph.arithmetic for graph in self.graphs.by_name().values()]
        return Precision(self.layout.weight_storage, narrowest(every))

    @property
    def has_onnx(self) -> bool:
        """Whether the bundle has the ONNX counterparts of all graphs."""
        return all(graph.onnx for graph in self.graphs.by_name().values())

    @property
    @abstractmethod
    def max_rois(self) -> int:
        """The maximum length of an axis that is `None` in a `TensorSpec`."""

    @abstractmethod
    def network_stages(self) -> StageShapes:
        """Golden arrays between the network input and the detections, in execution order."""

    def golden_stages(self) -> StageShapes:
        """All golden arrays in execution order. H, W: size of the image. N: number of detections."""
        height, width = self.input.height, self.input.width
        return {
            "image": ("uint8", ("H", "W", 3)),  # RGB, after decoding
            "image_rows": ("int64", ("H", 3)),  # sums over each row, to check the image decoder
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
