"""One-stage detectors as references: one graph, whose outputs a `OneStageSpec` decodes."""

import functools
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Generic, Self, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from typing_extensions import override

from pocketdet.export.reference.base import DetectorReference, Identity, Image, Reference, graph_spec, tensor
from pocketdet.export.reference.network import Network, TorchNetwork
from pocketdet.models.config import Postprocessing
from pocketdet.models.one_stage import OneStageDetector
from pocketdet.models.ops import to_original
from pocketdet.models.ops.one_stage_decode import one_stage_decode
from pocketdet.runtime.bundle.one_stage import OUTPUTS, OneStageGraphs, OneStageManifest
from pocketdet.runtime.bundle.schema import Graphs, Manifest
from pocketdet.runtime.engines.base import Array, GraphName
from pocketdet.runtime.output_fields import Regions, output_regions
from pocketdet.spec.one_stage import OneStageSpec, Selection

OneNetwork = TypeVar("OneNetwork", bound=Network)


class OneStageReference(Reference):
    """A detector with one network; its outputs carry the names that `decode` uses."""

    decode: OneStageSpec

    @abstractmethod
    def raw(self, source: Array) -> Mapping[str, Array]:
        """Run the network.

        Args:
            source: the normalised image (3, h, w).

        Returns:
            The outputs by name, without a batch axis.
        """

    @abstractmethod
    def with_decode(self, decode: OneStageSpec) -> Self:
        """A reference that shares the network and decodes its outputs by `decode`."""

    @override
    def graphs(self) -> Graphs:
        outputs = (tensor(name, *self.output_shapes[name]) for name in self.decode.outputs)
        source = tensor("image", 3, *self.identity.input_size)
        return OneStageGraphs(model=graph_spec("model", source, *outputs))

    @functools.cached_property
    def output_shapes(self) -> Mapping[str, tuple[int, ...]]:
        """The shape of every output by name, without a batch axis."""
        maps = self.raw(np.zeros((3, *self.identity.input_size), np.float32))
        return {name: value.shape for name, value in maps.items()}

    @override
    def output_regions(self) -> Regions:
        return output_regions(self.decode, self.output_shapes)

    @override
    def examples(self) -> Mapping[str, tuple[Array, Array]]:
        return {"model": self.network_inputs()}

    @override
    def inputs(self, image: Image) -> dict[str, Array]:
        return {"model": self.preprocess(image)[1]}

    @override
    def stages(self, image: Image) -> dict[str, NDArray[Any]]:
        resized, normalised = self.preprocess(image)
        maps = self.raw(normalised)
        outputs = {name: np.ascontiguousarray(maps[name]) for name in self.decode.outputs}
        return {
            "resized": resized,
            "normalised": normalised,
            **{OUTPUTS + name: value for name, value in outputs.items()},
            **self.detections(outputs, (image.shape[0], image.shape[1])),
        }

    def detections(self, outputs: Mapping[str, Array], source: tuple[int, int]) -> dict[str, NDArray[Any]]:
        """Decode outputs of the network with the torch decoder.

        Args:
            outputs: by name, without a batch axis.
            source: (height, width) of the image in pixels.

        Returns:
            "boxes" (N, 4) in pixels of the image, "scores" (N,) and "labels" (N,) int32, best first.
        """
        maps = {name: torch.from_numpy(np.ascontiguousarray(outputs[name])) for name in self.decode.outputs}
        found = one_stage_decode(self.decode, maps)
        size, resize = self.identity.input_size, self.identity.preprocessing.resize
        return {
            "boxes": to_original(found.boxes, source, size, resize).numpy(),
            "scores": found.scores.numpy(),
            "labels": found.labels.numpy().astype(np.int32),
        }

    @override
    def map_stages(self) -> tuple[str, ...]:
        return tuple(OUTPUTS + name for name in self.decode.outputs)

    @property
    @override
    def postprocessing(self) -> Postprocessing:
        return selection_postprocessing(self.decode.selection)

    @property
    @override
    def score_threshold(self) -> float:
        return self.decode.selection.score_threshold

    @override
    def with_postprocessing(
        self, manifest: Manifest | None = None, score: float | None = None, per_class: bool | None = None
    ) -> Self:
        decode = manifest.decode if isinstance(manifest, OneStageManifest) else self.decode
        selection = decode.selection
        if score is not None:
            selection = replace(selection, score_threshold=score)
        if per_class is not None:
            selection = replace(selection, per_class=per_class)
        return self.with_decode(replace(decode, selection=selection))

    @override
    def manifest(self, graphs: Graphs, common: Mapping[str, Any]) -> Manifest:
        assert isinstance(graphs, OneStageGraphs)
        return OneStageManifest(detector="one-stage", graphs=graphs, decode=self.decode, **common)


class NetworkReference(OneStageReference, Generic[OneNetwork]):
    """A detector that is one `Network`. The bundle contains its ONNX counterpart and no other weights.

    Args:
        network: with one input, the normalised image.
        identity: names, sizes and preprocessing.
        decode: how its outputs are read.
    """

    def __init__(self, network: OneNetwork, identity: Identity, decode: OneStageSpec) -> None:
        self.network = network
        self.decode = decode
        self._identity = identity

    @property
    @override
    def identity(self) -> Identity:
        return self._identity

    @override
    def raw(self, source: Array) -> Mapping[str, Array]:
        return self.network.run(source)

    @override
    def networks(self) -> Mapping[GraphName, Network]:
        return {"model": self.network}

    @override
    def for_inference(self) -> Self:
        return self

    @override
    def save(self, folder: Path, card: Mapping[str, str]) -> str | None:
        return None


class TorchOneStageReference(DetectorReference[OneStageDetector], OneStageReference):
    """A PyTorch one-stage detector; `decode` is the model's own description of its outputs by default."""

    def __init__(self, model: OneStageDetector, decode: OneStageSpec | None = None) -> None:
        super().__init__(model)
        self.decode = decode or model.spec()

    def _with(self, model: Any) -> Self:
        return type(self)(model, self.decode)

    @property
    @override
    def identity(self) -> Identity:
        settings = self.model.settings
        return Identity(settings.arch, settings.class_names, settings.input_size, settings.preprocessing)

    @override
    def raw(self, source: Array) -> Mapping[str, Array]:
        with torch.no_grad():
            maps = self.model(torch.from_numpy(np.ascontiguousarray(source))[None])
        return {name: value[0].numpy() for name, value in maps.items()}

    @override
    def with_decode(self, decode: OneStageSpec) -> Self:
        return type(self)(self.model, decode)

    @override
    def networks(self) -> Mapping[GraphName, Network]:
        return {"model": TorchNetwork(self.model, self.graphs().by_name()["model"])}

    @override
    def for_inference(self) -> Self:
        bare = self.model.for_inference()
        return self if len(bare.state_dict()) == len(self.model.state_dict()) else self._with(bare)


def selection_postprocessing(selection: Selection) -> Postprocessing:
    """The part of a one-stage selection that two-stage detectors have, too."""
    return Postprocessing(**{field.name: getattr(selection, field.name) for field in fields(Postprocessing)})
