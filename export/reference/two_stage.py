"""Two-stage detectors as references: a features graph, and a head graph that takes any number of RoIs."""

import copy
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from typing_extensions import override

from pocketdet.export.reference.base import DetectorReference, Identity, Image, graph_spec, tensor
from pocketdet.export.reference.network import Network, TorchNetwork
from pocketdet.models.config import DetectorConfig, Postprocessing
from pocketdet.models.postprocess import reference_stages
from pocketdet.models.thundernet import HeadGraph, ThunderNet
from pocketdet.runtime.bundle.schema import Graphs, Manifest
from pocketdet.runtime.bundle.two_stage import Anchors, Proposals, RoIHead, TwoStageGraphs, TwoStageManifest
from pocketdet.runtime.bundle.two_stage import Postprocessing as ManifestPostprocessing
from pocketdet.runtime.engines.base import Array, GraphName

MAPS = ("rpn_scores", "rpn_deltas", "sam")


class TwoStageReference(DetectorReference[ThunderNet]):
    """A ThunderNet."""

    @property
    @override
    def identity(self) -> Identity:
        config = self.model.config
        return Identity(config.arch, config.class_names, config.input_size, config.preprocessing)

    @override
    def graphs(self) -> Graphs:
        return graph_specs(self.model.config)

    @override
    def networks(self) -> Mapping[GraphName, Network]:
        modules: dict[GraphName, nn.Module] = {"features": self.model, "head": HeadGraph(self.model).eval()}
        specs = self.graphs().by_name()
        return {name: TorchNetwork(module, specs[name]) for name, module in modules.items()}

    @override
    def examples(self) -> Mapping[str, tuple[Array, Array]]:
        generator = torch.Generator().manual_seed(0)
        channels = self.model.config.head.channels
        # two row counts show that the graph does not depend on the number of RoIs
        few, many = (torch.randn(n, channels, generator=generator).numpy() for n in (37, 200))
        return {"features": self.network_inputs(), "head": (many, few)}

    @override
    def inputs(self, image: Image) -> dict[str, Array]:
        stages = reference_stages(self.model, image)
        return {"features": stages.normalised.numpy(), "head": stages.roi_features.numpy()}

    @override
    def stages(self, image: Image) -> dict[str, NDArray[Any]]:
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

    @override
    def map_stages(self) -> tuple[str, ...]:
        return MAPS

    @override
    def for_inference(self) -> Self:
        return self

    @property
    @override
    def postprocessing(self) -> Postprocessing:
        return self.model.config.postprocessing

    @override
    def with_postprocessing(
        self, manifest: Manifest | None = None, score: float | None = None, per_class: bool | None = None
    ) -> Self:
        wanted = self.postprocessing
        if isinstance(manifest, TwoStageManifest):
            wanted = Postprocessing(**manifest.postprocessing.model_dump())
        if score is not None:
            wanted = replace(wanted, score_threshold=score)
        if per_class is not None:
            wanted = replace(wanted, per_class=per_class)
        model = copy.copy(self.model)  # shares the weights; the caller's model keeps its configuration
        model.config = replace(model.config, postprocessing=wanted)
        return self._with(model)

    @override
    def manifest(self, graphs: Graphs, common: Mapping[str, Any]) -> Manifest:
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
            postprocessing=ManifestPostprocessing(**asdict(config.postprocessing)),
            **common,
        )


def graph_specs(config: DetectorConfig) -> TwoStageGraphs:
    """The two graphs of a two-stage detector; blobs have the names of their roles."""
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
