"""Anybody's one-stage detector: an ONNX file and a description of it. onnxruntime is the reference."""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Self

import numpy as np
import torch

from pocketdet.export.described import DescribedReference
from pocketdet.export.fold_bn import FoldReport
from pocketdet.export.network import Network
from pocketdet.export.onnx_network import OnnxNetwork
from pocketdet.export.reference import Identity
from pocketdet.export.round_weights import to_half
from pocketdet.runtime.engines.base import Array, GraphName
from pocketdet.spec.one_stage import OneStageSpec


class OnnxReference(DescribedReference):
    """See `Reference`. There are no weights beside the file; what could be folded was, when it was read."""

    runs_in = "onnxruntime"

    def __init__(self, network: OnnxNetwork, identity: Identity, decode: OneStageSpec) -> None:
        self.network = network
        self._identity = identity
        self.decode = decode

    @property
    def identity(self) -> Identity:
        """See `Reference.identity`."""
        return self._identity

    def raw(self, source: Array) -> Mapping[str, Array]:
        """See `DescribedReference.raw`."""
        return self.network.run(source)

    def described(self, decode: OneStageSpec) -> Self:
        """See `DescribedReference.described`."""
        return type(self)(self.network, self._identity, decode)

    def networks(self) -> Mapping[GraphName, Network]:
        """See `Reference.networks`."""
        return {"model": self.network}

    def for_inference(self) -> Self:
        """See `Reference.for_inference`."""
        return self

    def folded(self) -> tuple[Self, FoldReport]:
        """See `Reference.folded`."""
        return self, FoldReport((), ())

    def rounded(self, leave: Collection[str]) -> Self:
        """See `Reference.rounded`."""
        halves = {
            name: to_half(torch.from_numpy(np.array(values)), name).numpy()
            for name, values in self.weights().items()
            if name not in leave
        }
        return type(self)(self.network.with_constants(halves), self._identity, self.decode)

    def weights(self) -> Mapping[str, Array]:
        """See `Reference.weights`."""
        return self.network.weights()

    def every_weight(self) -> Iterator[tuple[str, Array]]:
        """See `Reference.every_weight`."""
        return self.network.constants()

    def save(self, folder: Path, card: Mapping[str, str]) -> str | None:
        """See `Reference.save`."""
        return None
