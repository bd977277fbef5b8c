"""One-stage PyTorch detectors as the export sees them."""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import torch

from pocketdet.export.described import DescribedReference
from pocketdet.export.network import Network, TorchNetwork
from pocketdet.export.reference import Identity
from pocketdet.export.torch_reference import TorchReference
from pocketdet.models.one_stage import OneStageDetector
from pocketdet.runtime.engines.base import Array, GraphName
from pocketdet.spec.one_stage import OneStageSpec


class OneStageReference(TorchReference[OneStageDetector], DescribedReference):
    """See `Reference`; `decode` describes the outputs, by default as the model does itself."""

    def __init__(self, model: OneStageDetector, decode: OneStageSpec | None = None) -> None:
        super().__init__(model)
        self.decode = decode or model.spec()

    def _with(self, model: Any) -> Self:
        return type(self)(model, self.decode)

    @property
    def identity(self) -> Identity:
        """See `Reference.identity`."""
        settings = self.model.settings
        return Identity(settings.arch, settings.class_names, settings.input_size, settings.preprocessing)

    def raw(self, source: Array) -> Mapping[str, Array]:
        """See `DescribedReference.raw`."""
        with torch.no_grad():
            maps = self.model(torch.from_numpy(np.ascontiguousarray(source))[None])
        return {name: value[0].numpy() for name, value in maps.items()}

    def described(self, decode: OneStageSpec) -> Self:
        """See `DescribedReference.described`."""
        return type(self)(self.model, decode)

    def networks(self) -> Mapping[GraphName, Network]:
        """See `Reference.networks`."""
        return {"model": TorchNetwork(self.model, self.graphs().by_name()["model"])}

    def for_inference(self) -> Self:
        """See `Reference.for_inference`."""
        bare = self.model.for_inference()
        return self if len(bare.state_dict()) == len(self.model.state_dict()) else self._with(bare)
