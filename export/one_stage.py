"""One-stage detectors as the export sees them: one graph, and a description of its outputs."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pocketdet.export.manifest import graph_spec, tensor
from pocketdet.export.network import Network, TorchNetwork
from pocketdet.export.reference import Identity, Picture, Rule
from pocketdet.export.torch_reference import TorchReference
from pocketdet.models.one_stage import OneStageDetector
from pocketdet.models.ops import to_original
from pocketdet.models.ops.one_stage_decode import one_stage_decode
from pocketdet.one_stage_spec import OneStageSpec
from pocketdet.runtime.bundle.one_stage import OUTPUTS, OneStageGraphs, OneStageManifest
from pocketdet.runtime.bundle.schema import Graphs, Manifest
from pocketdet.runtime.engines.base import Array, GraphName


class OneStageReference(TorchReference[OneStageDetector]):
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

    def graphs(self) -> Graphs:
        """See `Reference.graphs`."""
        size = self.identity.input_size
        with torch.no_grad():
            maps = self.model(torch.zeros(1, 3, *size))
        outputs = (tensor(name, *maps[name].shape[1:]) for name in self.decode.outputs)
        return OneStageGraphs(model=graph_spec("model", tensor("image", 3, *size), *outputs))

    def networks(self) -> Mapping[GraphName, Network]:
        """See `Reference.networks`."""
        return {"model": TorchNetwork(self.model, self.graphs().by_name()["model"])}

    def examples(self) -> Mapping[str, tuple[Array, Array]]:
        """See `Reference.examples`."""
        return {"model": self.network_inputs()}

    def inputs(self, picture: Picture) -> dict[str, Array]:
        """See `Reference.inputs`."""
        return {"model": self.preprocess(picture)[1]}

    @torch.no_grad()
    def stages(self, image: Picture) -> dict[str, NDArray[Any]]:
        """See `Reference.stages`."""
        resized, normalised = self.preprocess(image)
        maps = self.model(torch.from_numpy(normalised)[None])
        outputs = {name: maps[name][0] for name in self.decode.outputs}
        found = decoded(self.decode, outputs, image.shape[:2], self.identity)
        return {"resized": resized, "normalised": normalised, **found}

    def map_stages(self) -> tuple[str, ...]:
        """See `Reference.map_stages`."""
        return tuple(OUTPUTS + name for name in self.decode.outputs)

    def for_inference(self) -> Self:
        """See `Reference.for_inference`."""
        bare = self.model.for_inference()
        return self if len(bare.state_dict()) == len(self.model.state_dict()) else self._with(bare)

    @property
    def rule(self) -> Rule:
        """See `Reference.rule`."""
        return Rule.of(self.decode.selection)

    def ruled(self, manifest: Manifest | None = None, score: float | None = None) -> Self:
        """See `Reference.ruled`."""
        decode = manifest.decode if isinstance(manifest, OneStageManifest) else self.decode
        return type(self)(self.model, with_score(decode, score))

    def manifest(self, graphs: Graphs, common: Mapping[str, Any]) -> Manifest:
        """See `Reference.manifest`."""
        assert isinstance(graphs, OneStageGraphs)
        return OneStageManifest(detector="one-stage", graphs=graphs, decode=self.decode, **common)


def decoded(
    decode: OneStageSpec, outputs: Mapping[str, Tensor], source: tuple[int, ...], identity: Identity
) -> dict[str, NDArray[Any]]:
    """Outputs of one image of `source` (height, width), and the detections in its pixels, as in golden."""
    found = one_stage_decode(decode, outputs)
    height, width = source
    resize = identity.preprocessing.resize
    return {
        **{OUTPUTS + name: value.numpy() for name, value in outputs.items()},
        "boxes": to_original(found.boxes, (height, width), identity.input_size, resize).numpy(),
        "scores": found.scores.numpy(),
        "labels": found.labels.numpy().astype(np.int32),
    }


def with_score(decode: OneStageSpec, score: float | None) -> OneStageSpec:
    """The description with another score threshold, unless that is None."""
    if score is None:
        return decode
    return replace(decode, selection=replace(decode.selection, score_threshold=score))
