"""The interface of a reference detector: what the export, `verify` and the evaluation ask of it.

Nothing here depends on the kind of detector. `TorchReference` is the base class of those that PyTorch runs.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import nn
from typing_extensions import override

from pocketdet.export.half_weights import WEIGHTED, round_to_half
from pocketdet.export.reference.network import Network
from pocketdet.models.build import AnyDetector
from pocketdet.models.checkpoint import save_checkpoint
from pocketdet.models.config import Postprocessing, Preprocessing
from pocketdet.models.fold_bn import FoldReport, fold_batch_norm
from pocketdet.models.postprocess import preprocess
from pocketdet.runtime.bundle.one_stage import OUTPUTS
from pocketdet.runtime.bundle.schema import Graphs, GraphSpec, Manifest, TensorSpec
from pocketdet.runtime.engines.base import Array, GraphName
from pocketdet.runtime.output_fields import WHOLE, Regions, compare_output
from pocketdet.runtime.parity import StageValues
from pocketdet.runtime.verification import PYTORCH, image_rows

Image = NDArray[np.uint8]  # RGB (height, width, 3)


@dataclass(frozen=True)
class Identity:
    """The facts about a detector that do not depend on its kind.

    Attributes:
        architecture: its name.
        class_names: without background.
        input_size: (height, width) of the network's input in pixels.
        preprocessing: from an RGB image to that input.
    """

    architecture: str
    class_names: tuple[str, ...]
    input_size: tuple[int, int]
    preprocessing: Preprocessing


class Reference(ABC):
    """A detector in its original form, in eval mode, on the CPU."""

    runs_in: ClassVar[str]
    """The library that computes it, as reports name it."""

    notes: tuple[str, ...] = ()
    """What was changed when it was read, a line each, for the export's log."""

    warnings: tuple[str, ...] = ()
    """What its description leaves out or makes unlikely, a sentence each, for the export's log."""

    @property
    @abstractmethod
    def identity(self) -> Identity:
        """Names, sizes and preprocessing."""

    @abstractmethod
    def graphs(self) -> Graphs:
        """Its networks as a bundle lists them, with ONNX files; blobs have the names of their roles."""

    @abstractmethod
    def networks(self) -> Mapping[GraphName, Network]:
        """Its networks by the name of the graph, in the order of execution."""

    @abstractmethod
    def examples(self) -> Mapping[str, tuple[Array, Array]]:
        """Two different inputs of each network."""

    @abstractmethod
    def inputs(self, image: Image) -> dict[str, Array]:
        """The input of each network for an RGB image (H, W, 3), the normalised image for the first one."""

    @abstractmethod
    def stages(self, image: Image) -> dict[str, NDArray[Any]]:
        """All stages of one RGB image (H, W, 3), from resizing to detections, named as in the golden test."""

    @abstractmethod
    def map_stages(self) -> tuple[str, ...]:
        """The names in `values` of the first network's outputs."""

    @abstractmethod
    def for_inference(self) -> Self:
        """A copy without the parts that only training needs; `self` if there are none."""

    @abstractmethod
    def folded(self) -> tuple[Self, FoldReport]:
        """A copy with batch norm folded, and a report. Raises `ExportError` if tracing fails."""

    @abstractmethod
    def rounded(self, exclude: Collection[str]) -> Self:
        """A copy with weights rounded to half precision, except for the layers in `exclude`.

        Raises:
            ExportError: if a weight is beyond the range of half precision.
        """

    @abstractmethod
    def weights(self) -> Mapping[str, Array]:
        """The weights of every convolution and linear layer by layer name, output channels first."""

    @abstractmethod
    def every_weight(self) -> Iterator[tuple[str, Array]]:
        """All stored arrays with their names."""

    @abstractmethod
    def save(self, folder: Path, card: Mapping[str, str]) -> str | None:
        """Write the weights that `factory.reference_of_bundle` needs beside the manifest and the ONNX files.

        Args:
            folder: of the bundle.
            card: facts about the training, stored with the weights.

        Returns:
            The file's name in the bundle, or None if no file is needed.
        """

    @abstractmethod
    def manifest(self, graphs: Graphs, common: Mapping[str, Any]) -> Manifest:
        """The manifest of its bundle; `common` are the fields that all kinds of detectors share."""

    @property
    @abstractmethod
    def postprocessing(self) -> Postprocessing:
        """Score threshold and NMS."""

    @property
    def score_threshold(self) -> float:
        """Of the detections, in [0, 1]."""
        return self.postprocessing.score_threshold

    @abstractmethod
    def with_postprocessing(
        self, manifest: Manifest | None = None, score: float | None = None, per_class: bool | None = None
    ) -> Self:
        """A reference that shares the network and differs in its post-processing.

        Args:
            manifest: the source of the post-processing; by default the reference's own.
            score: a score threshold in [0, 1] that replaces it.
            per_class: replaces whether boxes only suppress those of their own class.
        """

    def output_regions(self) -> Regions:
        """The elements of each output, by role, that are compared together; all of one that is left out.

        A one-stage detector has the fields of its description, and compares scores from its threshold on.
        """
        return {}

    def values(self, image: Image) -> StageValues:
        """Every stage of one RGB image (H, W, 3), by the name that the golden test stores it under."""
        return {"image": image, "image_rows": image_rows(image), **self.stages(image)}

    def preprocess(self, image: Image) -> tuple[Image, Array]:
        """Resize and normalise an RGB image (H, W, 3).

        Returns:
            The resized image (h, w, 3) in the network's channel order, and the normalised input (3, h, w).
        """
        resized, normalised = preprocess(image, self.identity.preprocessing, self.identity.input_size)
        return resized.numpy(), normalised.numpy()

    def network_inputs(self) -> tuple[Array, Array]:
        """Two different normalised images (3, h, w)."""
        first, second = (synthetic_image(self.identity.input_size, seed) for seed in (1, 2))
        return self.preprocess(first)[1], self.preprocess(second)[1]

    def rounding_cost(self, before: StageValues, after: StageValues) -> list[str]:
        """A line per output of the first network: how much half-precision weights change it on one image.

        The figures are those of the region that changes most.
        """
        lines = []
        for name in self.map_stages():
            regions = self.output_regions().get(name.removeprefix(OUTPUTS), (WHOLE,))
            changes = compare_output(name, regions, before[name], after[name], relative=1.0)
            worst = max(changes, key=lambda change: change.max_abs / (change.tolerance or 1.0))
            share = worst.max_abs / (worst.tolerance or 1.0)
            snr = "exact" if worst.snr_db is None else f"SNR {worst.snr_db:.0f} dB"
            lines.append(
                f"-[i] fp16 weights change {worst.name} by at most {share:.1%} of its largest value ({snr})"
            )
        return lines


def tensor(role: str, *shape: int | None) -> TensorSpec:
    """A blob that has the name of its role."""
    return TensorSpec(blob=role, role=role, shape=shape)


def graph_spec(name: str, source: TensorSpec, *outputs: TensorSpec) -> GraphSpec:
    """A graph with its ONNX counterpart; the files have the name of the graph."""
    return GraphSpec(
        param=f"{name}.ncnn.param",
        bin=f"{name}.ncnn.bin",
        onnx=f"reference/{name}.onnx",
        inputs=(source,),
        outputs=outputs,
    )


WEIGHTS = "reference/weights.safetensors"  # within a bundle

Module = TypeVar("Module", bound=nn.Module)
Model = TypeVar("Model", bound=AnyDetector)


class TorchReference(Reference, Generic[Module]):
    """A module in eval mode, on the CPU."""

    runs_in = PYTORCH

    def __init__(self, model: Module) -> None:
        self.model = model

    @abstractmethod
    def _with(self, model: Any) -> Self:
        """A reference of the same kind with another module."""

    @override
    def rounded(self, exclude: Collection[str]) -> Self:
        return self._with(round_to_half(self.model, exclude))

    @override
    def weights(self) -> Mapping[str, Array]:
        children = self.model.named_modules()
        weighted = {name: child for name, child in children if isinstance(child, WEIGHTED)}
        return {
            name: np.ascontiguousarray(child.get_parameter("weight").detach().float().numpy())
            for name, child in weighted.items()
        }

    @override
    def every_weight(self) -> Iterator[tuple[str, Array]]:
        for name, tensor in self.model.state_dict().items():
            yield name, tensor.numpy()


class DetectorReference(TorchReference[Model]):
    """A detector of pocketdet; the bundle contains its checkpoint."""

    def _with(self, model: Any) -> Self:
        return type(self)(model)

    @override
    def folded(self) -> tuple[Self, FoldReport]:
        model, report = fold_batch_norm(self.model)
        return self._with(model), report

    @override
    def save(self, folder: Path, card: Mapping[str, str]) -> str | None:
        save_checkpoint(folder / WEIGHTS, self.model, card)
        return WEIGHTS


def synthetic_image(size: tuple[int, int], seed: int = 0) -> NDArray[np.uint8]:
    """A random RGB image (H, W, 3) of soft blobs, larger than `size` and smooth, so that resizing keeps it.

    Args:
        size: (height, width) of a network input in pixels.
        seed: of the random colours.
    """
    rng = np.random.default_rng(seed)
    height, width = size[0] * 5 // 4, size[1] * 3 // 2
    coarse = rng.integers(0, 256, (height // 32 + 2, width // 32 + 2, 3), np.uint8)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)
