"""Two-stage detectors as the export sees them: a features graph, and a head that takes any number of RoIs."""

import copy
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from pocketdet.export.manifest import graph_spec, tensor
from pocketdet.export.network import Network, TorchNetwork
from pocketdet.export.reference import Identity, Picture, Rule
from pocketdet.export.torch_reference import TorchReference
from pocketdet.models.config import DetectorConfig
from pocketdet.models.config import Postprocessing as PostprocessingConfig
from pocketdet.models.postprocess import reference_stages
from pocketdet.models.thundernet import HeadGraph, ThunderNet
from pocketdet.runtime.bundle.schema import Graphs, Manifest
from pocketdet.runtime.bundle.two_stage import (
    Anchors,
    Postprocessing,
    Proposals,
    RoIHead,
    TwoStageGraphs,
    TwoStageManifest,
)
from pocketdet.runtime.engines.base import Array, GraphName

MAPS = ("rpn_scores", "rpn_deltas", "sam")


class TwoStageReference(TorchReference[ThunderNet]):
    """See `Reference`."""

    @property
    def identity(self) -> Identity:
        """See `Reference.identity`."""
        config = self.model.config
        return Identity(config.arch, config.class_names, config.input_size, config.preprocessing)

    def graphs(self) -> Graphs:
        """See `Reference.graphs`."""
        return graph_specs(self.model.config)

    def networks(self) -> Mapping[GraphName, Network]:
        """See `Reference.networks`."""
        modules: dict[GraphName, nn.Module] = {"features": self.model, "head": HeadGraph(self.model).eval()}
        specs = self.graphs().by_name()
        return {name: TorchNetwork(module, specs[name]) for name, module in modules.items()}

    def examples(self) -> Mapping[str, tuple[Array, Array]]:
        """See `Reference.examples`."""
        generator = torch.Generator().manual_seed(0)
        channels = self.model.config.head.channels
        # two different row counts prove that the number of RoIs was not baked in
        few, many = (torch.randn(n, channels, generator=generator).numpy() for n in (37, 200))
        return {"features": self.network_inputs(), "head": (many, few)}

    def inputs(self, picture: Picture) -> dict[str, Array]:
        """See `Reference.inputs`."""
        stages = reference_stages(self.model, picture)
        return {"features": stages.normalised.numpy(), "head": stages.roi_features.numpy()}

    def stages(self, image: Picture) -> dict[str, NDArray[Any]]:
        """See `Reference.stages`."""
        stages = reference_stages(self.model, image)
        return {
            "resized": stages.resized.numpy(),
            "normalised": stages.normalised.numpy(),
            **{name: getattr(stages, name).numpy() for name in MAPS},
            "proposal_indices": stages.proposal_indices.numpy().astype(np.int32),
            "proposal_boxes": stages.proposal_boxes.numpy(),
            "roi_features": stages.roi_features.numpy(),
            "head": np.concatenate([stages.logits.numpy(), stages.deltas.numpy()], axis=1),
            "boxes": stages.boxes.numpy(),
            "scores": stages.scores.numpy(),
            "labels": stages.labels.numpy().astype(np.int32),
        }

    def map_stages(self) -> tuple[str, ...]:
        """See `Reference.map_stages`."""
        return MAPS

    def for_inference(self) -> Self:
        """See `Reference.for_inference`."""
        return self

    @property
    def rule(self) -> Rule:
        """See `Reference.rule`."""
        return Rule.of(self.model.config.postprocessing)

    def ruled(self, manifest: Manifest | None = None, score: float | None = None) -> Self:
        """See `Reference.ruled`."""
        rule = self.model.config.postprocessing
        if isinstance(manifest, TwoStageManifest):
            rule = PostprocessingConfig(**manifest.postprocessing.model_dump())
        if score is not None:
            rule = replace(rule, score_threshold=score)
        model = copy.copy(self.model)  # shares its weights; the caller's own keeps its rule
        model.config = replace(model.config, postprocessing=rule)
        return self._with(model)

    def manifest(self, graphs: Graphs, common: Mapping[str, Any]) -> Manifest:
        """See `Reference.manifest`."""
        assert isinstance(graphs, TwoStageGraphs)
        config = self.model.config
        head = config.head
        return TwoStageManifest(
            detector="two-stage",
            graphs=graphs,
            anchors=Anchors(stride=config.anchors.stride, sizes=config.anchors.sizes()),
            proposals=Proposals(**asdict(config.proposals)),
            roi_head=RoIHead(
                alpha=head.alpha,
                pool_size=head.pool_size,
                sampling_ratio=head.sampling_ratio,
                delta_std=head.delta_std,
            ),
            postprocessing=Postprocessing(**asdict(config.postprocessing)),
            **common,
        )


def graph_specs(config: DetectorConfig) -> TwoStageGraphs:
    """The two graphs of a two-stage detector: file names, and blobs named after their roles."""
    height, width = config.input_size
    cells = height // config.anchors.stride, width // config.anchors.stride
    per_cell = len(config.anchors.sizes())
    return TwoStageGraphs(
        features=graph_spec(
            "features",
            tensor("image", 3, height, width),
            tensor("rpn_scores", 2 * per_cell, *cells),
            tensor("rpn_deltas", 4 * per_cell, *cells),
            tensor("sam", config.head.channels, *cells),
        ),
        head=graph_spec(
            "head",
            tensor("roi_features", None, config.head.channels),
            tensor("class_logits_and_deltas", None, config.num_classes + 4),
        ),
    )
