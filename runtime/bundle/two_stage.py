"""The manifest of a two-stage detector: features graph, proposals, RoI align, head graph, post-processing."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from pocketdet.runtime.bundle.schema import (
    Graphs,
    GraphSpec,
    Manifest,
    Positive,
    Record,
    StageShapes,
    UnitInterval,
)


class TwoStageGraphs(Graphs):
    """The two networks of a two-stage detector."""

    features: GraphSpec
    head: GraphSpec


class Anchors(Record):
    """Anchor sizes (width, height) in pixels at each cell, and the stride of the grid in pixels."""

    stride: Annotated[int, Field(ge=1, le=256)]
    sizes: Annotated[tuple[tuple[Positive, Positive], ...], Field(min_length=1, max_length=256)]


class Proposals(Record):
    """Selection of proposals from RPN maps."""

    pre_nms_top_n: Annotated[int, Field(ge=1, le=100_000)]
    post_nms_top_n: Annotated[int, Field(ge=1, le=10_000)]
    nms_iou: UnitInterval
    min_size: Annotated[float, Field(ge=0, le=4096, allow_inf_nan=False)]


class RoIHead(Record):
    """PSRoI align and box coding of the head."""

    alpha: Annotated[int, Field(ge=1, le=64)]
    pool_size: Annotated[int, Field(ge=1, le=32)]
    sampling_ratio: Annotated[int, Field(ge=1, le=8)]
    delta_std: tuple[Positive, Positive, Positive, Positive]


class Postprocessing(Record):
    """Selection of detections from head outputs. Callers may override these values.

    `per_class`, new in version 6: boxes only suppress those of their own class.
    """

    score_threshold: UnitInterval
    nms: Literal["hard", "linear", "gaussian"]
    nms_iou: UnitInterval
    sigma: Positive
    max_detections: Annotated[int, Field(ge=1, le=10_000)]
    per_class: bool = True


class TwoStageManifest(Manifest):
    """Manifest of a two-stage detector: the stages between and after its two graphs."""

    detector: Literal["two-stage"]  # pyright: ignore[reportIncompatibleVariableOverride]: frozen
    graphs: TwoStageGraphs  # pyright: ignore[reportIncompatibleVariableOverride]: frozen
    anchors: Anchors
    proposals: Proposals
    roi_head: RoIHead
    postprocessing: Postprocessing

    @property
    def max_rois(self) -> int:
        """The maximum number of proposals."""
        return self.proposals.post_nms_top_n

    def network_stages(self) -> StageShapes:
        """See `Manifest.network_stages`. R is the number of proposals."""
        maps, (thin, outputs) = self._maps(), self._head()
        return {
            **{role: ("float32", shape) for role, shape in maps.items()},
            "proposal_indices": ("int32", ("R",)),  # anchors
            "proposal_boxes": ("float32", ("R", 4)),  # network pixels
            "roi_features": ("float32", ("R", thin)),
            "head": ("float32", ("R", outputs)),
        }

    def _maps(self) -> dict[str, tuple[int, int, int]]:
        """Shapes of the features graph's outputs."""
        cells = self.input.height // self.anchors.stride, self.input.width // self.anchors.stride
        per_cell = len(self.anchors.sizes)
        return {
            "rpn_scores": (2 * per_cell, *cells),
            "rpn_deltas": (4 * per_cell, *cells),
            "sam": (self._head()[0], *cells),
        }

    def _head(self) -> tuple[int, int]:
        """Numbers of head inputs and outputs per RoI."""
        return self.roi_head.alpha * self.roi_head.pool_size**2, len(self.class_names) + 1 + 4

    @model_validator(mode="after")
    def _stages_fit_together(self) -> Self:
        thin, outputs = self._head()
        expected: dict[tuple[str, str], tuple[int | None, ...]] = {
            ("features", "image"): (3, self.input.height, self.input.width),
            **{("features", role): shape for role, shape in self._maps().items()},
            ("head", "roi_features"): (None, thin),
            ("head", "class_logits_and_deltas"): (None, outputs),
        }
        found: dict[tuple[str, str], tuple[int | None, ...]] = {}
        for name, graph in self.graphs.by_name().items():
            if len(graph.inputs) != 1:
                raise ValueError(f"graph {name!r}: expected one input, found {len(graph.inputs)}")
            for spec in (*graph.inputs, *graph.outputs):
                if (name, spec.role) in found:
                    raise ValueError(f"graph {name!r}: role {spec.role!r} is given twice")
                found[name, spec.role] = spec.shape
        if expected != found:
            wrong = next(k for k in sorted(expected | found) if expected.get(k) != found.get(k))
            raise ValueError(
                f"blob {wrong[1]!r} of graph {wrong[0]!r}: expected shape {expected.get(wrong)}, "
                f"found {found.get(wrong)}"
            )
        return self
