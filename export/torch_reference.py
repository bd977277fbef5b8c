"""What the detectors that are PyTorch models have in common as references."""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Generic, Self, TypeVar

import numpy as np

from pocketdet.export.fold_bn import FoldReport, fold_batch_norm
from pocketdet.export.reference import Reference
from pocketdet.export.round_weights import WEIGHTED, round_to_half
from pocketdet.models.build import AnyDetector
from pocketdet.models.checkpoint import save_checkpoint
from pocketdet.runtime.engines.base import Array
from pocketdet.runtime.verification import PYTORCH

WEIGHTS = "reference/weights.safetensors"  # within a bundle

Model = TypeVar("Model", bound=AnyDetector)


class TorchReference(Reference, Generic[Model]):
    """A model in eval mode, on the CPU."""

    runs_in = PYTORCH

    def __init__(self, model: Model) -> None:
        self.model = model

    def _with(self, model: Any) -> Self:
        """The same with another network."""
        return type(self)(model)

    def folded(self) -> tuple[Self, FoldReport]:
        """See `Reference.folded`."""
        model, report = fold_batch_norm(self.model)
        return self._with(model), report

    def rounded(self, leave: Collection[str]) -> Self:
        """See `Reference.rounded`."""
        return self._with(round_to_half(self.model, leave))

    def weights(self) -> Mapping[str, Array]:
        """See `Reference.weights`."""
        children = self.model.named_modules()
        weighted = {name: child for name, child in children if isinstance(child, WEIGHTED)}
        return {
            name: np.ascontiguousarray(child.get_parameter("weight").detach().float().numpy())
            for name, child in weighted.items()
        }

    def every_weight(self) -> Iterator[tuple[str, Array]]:
        """See `Reference.every_weight`."""
        for name, tensor in self.model.state_dict().items():
            yield name, tensor.numpy()

    def save(self, folder: Path, card: Mapping[str, str]) -> str | None:
        """See `Reference.save`."""
        save_checkpoint(folder / WEIGHTS, self.model, card)
        return WEIGHTS
