"""References whose outputs a description decodes: what one-stage detectors share, whatever runs them."""

import functools
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from pocketdet.export.manifest import graph_spec, tensor
from pocketdet.export.reference import Picture, Reference, Rule
from pocketdet.models.ops import to_original
from pocketdet.models.ops.one_stage_decode import one_stage_decode
from pocketdet.runtime.bundle.one_stage import OUTPUTS, OneStageGraphs, OneStageManifest
from pocketdet.runtime.bundle.schema import Graphs, Manifest
from pocketdet.runtime.engines.base import Array
from pocketdet.spec.one_stage import OneStageSpec


class DescribedReference(Reference):
    """One network; its outputs carry the names that `decode` uses."""

    decode: OneStageSpec

    @abstractmethod
    def raw(self, source: Array) -> Mapping[str, Array]:
        """Normalised picture (3, h, w) -> outputs by name, without a batch axis."""

    @abstractmethod
    def described(self, decode: OneStageSpec) -> Self:
        """The same network under another description."""

    def graphs(self) -> Graphs:
        """See `Reference.graphs`."""
        outputs = (tensor(name, *self.output_shapes[name]) for name in self.decode.outputs)
        source = tensor("image", 3, *self.identity.input_size)
        return OneStageGraphs(model=graph_spec("model", source, *outputs))

    @functools.cached_property
    def output_shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Of every output, without a batch axis."""
        maps = self.raw(np.zeros((3, *self.identity.input_size), np.float32))
        return {name: value.shape for name, value in maps.items()}

    def examples(self) -> Mapping[str, tuple[Array, Array]]:
        """See `Reference.examples`."""
        return {"model": self.network_inputs()}

    def inputs(self, picture: Picture) -> dict[str, Array]:
        """See `Reference.inputs`."""
        return {"model": self.preprocess(picture)[1]}

    def stages(self, image: Picture) -> dict[str, NDArray[Any]]:
        """See `Reference.stages`."""
        resized, normalised = self.preprocess(image)
        maps = self.raw(normalised)
        outputs = {name: np.ascontiguousarray(maps[name]) for name in self.decode.outputs}
        found = one_stage_decode(self.decode, {n: torch.from_numpy(v) for n, v in outputs.items()})
        height, width = image.shape[:2]
        size, resize = self.identity.input_size, self.identity.preprocessing.resize
        return {
            "resized": resized,
            "normalised": normalised,
            **{OUTPUTS + name: value for name, value in outputs.items()},
            "boxes": to_original(found.boxes, (height, width), size, resize).numpy(),
            "scores": found.scores.numpy(),
            "labels": found.labels.numpy().astype(np.int32),
        }

    def map_stages(self) -> tuple[str, ...]:
        """See `Reference.map_stages`."""
        return tuple(OUTPUTS + name for name in self.decode.outputs)

    @property
    def rule(self) -> Rule:
        """See `Reference.rule`."""
        return Rule.of(self.decode.selection)

    def ruled(self, manifest: Manifest | None = None, score: float | None = None) -> Self:
        """See `Reference.ruled`."""
        decode = manifest.decode if isinstance(manifest, OneStageManifest) else self.decode
        if score is not None:
            decode = replace(decode, selection=replace(decode.selection, score_threshold=score))
        return self.described(decode)

    def manifest(self, graphs: Graphs, common: Mapping[str, Any]) -> Manifest:
        """See `Reference.manifest`."""
        assert isinstance(graphs, OneStageGraphs)
        return OneStageManifest(detector="one-stage", graphs=graphs, decode=self.decode, **common)
