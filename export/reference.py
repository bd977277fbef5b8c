"""The detector that a bundle is made from and judged by: what the export, `verify` and `val` ask of it.

Nothing here knows what kind of detector it is; `two_stage` and `one_stage` do, and `kinds` picks one.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray

from pocketdet.export.examples import synthetic_image
from pocketdet.export.fold_bn import FoldReport
from pocketdet.export.network import Network
from pocketdet.models.config import Preprocessing
from pocketdet.models.ops import normalise, resize_image
from pocketdet.runtime.bundle.schema import Graphs, Manifest
from pocketdet.runtime.engines.base import Array, GraphName
from pocketdet.runtime.parity import StageValues, compare
from pocketdet.runtime.verification import image_rows
from pocketdet.spec.one_stage import Suppression

Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class Identity:
    """What a detector is called, what it finds and what it is fed."""

    architecture: str
    class_names: tuple[str, ...]
    input_size: tuple[int, int]
    preprocessing: Preprocessing


@dataclass(frozen=True)
class Rule:
    """What makes detections of scores, as far as all kinds of detectors have it."""

    score_threshold: float
    nms: Suppression
    nms_iou: float
    sigma: float
    max_detections: int

    @classmethod
    def of(cls, record: object) -> "Rule":
        """The fields of a configuration or a manifest that are here."""
        return cls(**{field.name: getattr(record, field.name) for field in fields(cls)})


class Reference(ABC):
    """A detector in its original form, in eval mode, on the CPU."""

    runs_in: ClassVar[str]
    """What computes it, as reports call it."""

    @property
    @abstractmethod
    def identity(self) -> Identity:
        """Names, sizes and preprocessing."""

    @abstractmethod
    def graphs(self) -> Graphs:
        """Its networks as a bundle has them, with ONNX twins, and blobs named after their roles."""

    @abstractmethod
    def networks(self) -> Mapping[GraphName, Network]:
        """Each of its networks, by the name of the graph, in the order in which they run."""

    @abstractmethod
    def examples(self) -> Mapping[str, tuple[Array, Array]]:
        """Two different inputs of each network."""

    @abstractmethod
    def inputs(self, picture: Picture) -> dict[str, Array]:
        """What each network is fed on an RGB picture (H, W, 3); the first one's is the normalised picture."""

    @abstractmethod
    def stages(self, image: Picture) -> dict[str, NDArray[Any]]:
        """From the resized picture to the detections of one RGB image (H, W, 3), named as in golden."""

    @abstractmethod
    def map_stages(self) -> tuple[str, ...]:
        """Names, among `values`, of the first network's outputs."""

    @abstractmethod
    def for_inference(self) -> Self:
        """The same without what only training needs; `self` if there is nothing of it."""

    @abstractmethod
    def folded(self) -> tuple[Self, FoldReport]:
        """The same with batch norm folded. Raises `ExportError` for a network that cannot be traced."""

    @abstractmethod
    def rounded(self, leave: Collection[str]) -> Self:
        """The same with weights rounded to halves, but for those in `leave`. Raises `ExportError`."""

    @abstractmethod
    def weights(self) -> Mapping[str, Array]:
        """Of every convolution and linear layer, output channels first, by the layer's name."""

    @abstractmethod
    def every_weight(self) -> Iterator[tuple[str, Array]]:
        """All stored numbers with their names."""

    @abstractmethod
    def save(self, folder: Path, card: Mapping[str, str]) -> str | None:
        """Write into a bundle's folder the weights that `kinds.reference_of_bundle` needs beside manifest and
        ONNX twins, and tell the file's name; None if it needs none.
        """

    @abstractmethod
    def manifest(self, graphs: Graphs, common: Mapping[str, Any]) -> Manifest:
        """The manifest of a bundle of it; `common` are the fields that all kinds have in the same way."""

    @property
    @abstractmethod
    def rule(self) -> Rule:
        """What makes detections of scores."""

    @abstractmethod
    def ruled(self, manifest: Manifest | None = None, score: float | None = None) -> Self:
        """The same network under the rule of `manifest`, or its own, with another score threshold or not."""

    def values(self, image: Picture) -> StageValues:
        """Every stage of one RGB image (H, W, 3), by name, as golden stores them."""
        return {"image": image, "image_rows": image_rows(image), **self.stages(image)}

    def preprocess(self, image: Picture) -> tuple[Picture, Array]:
        """Resized (h, w, 3) in the network's channel order, and normalised (3, h, w)."""
        pre, size = self.identity.preprocessing, self.identity.input_size
        pixels = torch.from_numpy(np.ascontiguousarray(image))
        resized = resize_image(pixels, size, pre.resize, pre.channel_order, pre.pad)
        return resized.numpy(), normalise(resized, pre.mean, pre.std).numpy()

    def network_inputs(self) -> tuple[Array, Array]:
        """Two different normalised pictures (3, h, w)."""
        first, second = (synthetic_image(self.identity.input_size, seed) for seed in (1, 2))
        return self.preprocess(first)[1], self.preprocess(second)[1]

    def rounding_cost(self, before: StageValues, after: StageValues) -> list[str]:
        """What half-precision weights change, a line per output of the first network, of one image."""
        lines = []
        for name in self.map_stages():
            change = compare(name, before[name], after[name])
            share = change.max_abs / (float(np.abs(before[name]).max()) or 1.0)
            snr = "exact" if change.snr_db is None else f"SNR {change.snr_db:.0f} dB"
            lines.append(
                f"-[i] fp16 weights change {name} by at most {share:.1%} of its largest value ({snr})"
            )
        return lines
