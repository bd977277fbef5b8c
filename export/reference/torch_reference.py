"""The common parts of the references that PyTorch runs."""

from abc import abstractmethod
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Generic, Self, TypeVar

import numpy as np
from torch import nn
from typing_extensions import override

from pocketdet.export.half_weights import WEIGHTED, round_to_half
from pocketdet.export.reference.base import Reference
from pocketdet.models.build import AnyDetector
from pocketdet.models.checkpoint import save_checkpoint
from pocketdet.models.fold_bn import FoldReport, fold_batch_norm
from pocketdet.runtime.engines.base import Array
from pocketdet.runtime.verification import PYTORCH

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
