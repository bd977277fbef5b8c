"""From a detector's configuration to the manifest that lets a stranger run it."""

import importlib.metadata
import platform
from collections.abc import Mapping

from pocketdet.models.config import DetectorConfig
from pocketdet.runtime.bundle.schema import (
    SCHEMA_VERSION,
    FileEntry,
    Golden,
    GraphSpec,
    InputSize,
    Layout,
    Preprocessing,
    TensorSpec,
)
from pocketdet.runtime.bundle.two_stage import (
    Anchors,
    Postprocessing,
    Proposals,
    RoIHead,
    TwoStageGraphs,
    TwoStageManifest,
)

GOLDEN = Golden(image="golden/image.png", stages="golden/stages.safetensors")
REFERENCE_WEIGHTS = "reference/weights.safetensors"


def graph_specs(config: DetectorConfig, *, with_onnx: bool) -> TwoStageGraphs:
    """The two graphs of a two-stage detector: file names, and blobs named after their roles."""
    height, width = config.input_size
    cells = height // config.anchors.stride, width // config.anchors.stride
    per_cell = len(config.anchors.sizes())

    def tensor(role: str, *shape: int | None) -> TensorSpec:
        return TensorSpec(blob=role, role=role, shape=shape)

    def spec(name: str, source: TensorSpec, *outputs: TensorSpec) -> GraphSpec:
        return GraphSpec(
            param=f"{name}.ncnn.param",
            bin=f"{name}.ncnn.bin",
            onnx=f"reference/{name}.onnx" if with_onnx else None,
            inputs=(source,),
            outputs=outputs,
        )

    return TwoStageGraphs(
        features=spec(
            "features",
            tensor("image", 3, height, width),
            tensor("rpn_scores", 2 * per_cell, *cells),
            tensor("rpn_deltas", 4 * per_cell, *cells),
            tensor("sam", config.head.channels, *cells),
        ),
        head=spec(
            "head",
            tensor("roi_features", None, config.head.channels),
            tensor("class_logits_and_deltas", None, config.num_classes + 4),
        ),
    )


def make_manifest(
    config: DetectorConfig,
    graphs: TwoStageGraphs,
    files: Mapping[str, FileEntry],
    *,
    name: str,
    layout: Layout,
    card: Mapping[str, str],
) -> TwoStageManifest:
    """The manifest of a bundle whose `files` are written. Raises `ValidationError` if they do not fit."""
    pre, head, props, post = config.preprocessing, config.head, config.proposals, config.postprocessing
    return TwoStageManifest(
        schema_version=SCHEMA_VERSION,
        name=name,
        task="object-detection",
        detector="two-stage",
        architecture=config.arch,
        input=InputSize(height=config.input_size[0], width=config.input_size[1]),
        class_names=config.class_names,
        preprocessing=Preprocessing(
            channel_order=pre.channel_order, mean=pre.mean, std=pre.std, resize=pre.resize, pad=pre.pad
        ),
        graphs=graphs,
        anchors=Anchors(stride=config.anchors.stride, sizes=config.anchors.sizes()),
        proposals=Proposals(
            pre_nms_top_n=props.pre_nms_top_n,
            post_nms_top_n=props.post_nms_top_n,
            nms_iou=props.nms_iou,
            min_size=props.min_size,
        ),
        roi_head=RoIHead(
            alpha=head.alpha,
            pool_size=head.pool_size,
            sampling_ratio=head.sampling_ratio,
            delta_std=head.delta_std,
        ),
        postprocessing=Postprocessing(
            score_threshold=post.score_threshold,
            nms=post.nms,
            nms_iou=post.nms_iou,
            sigma=post.sigma,
            max_detections=post.max_detections,
        ),
        layout=layout,
        golden=GOLDEN,
        reference_weights=REFERENCE_WEIGHTS if REFERENCE_WEIGHTS in files else None,
        tools=tool_versions(),
        card=dict(card),
        files=dict(files),
    )


def tool_versions() -> dict[str, str]:
    """Versions of everything that shaped the files."""
    packages = ("pocketdet", "torch", "onnx", "onnxscript", "onnxsim", "onnxruntime", "pnnx", "ncnn", "numpy")
    versions = {name: importlib.metadata.version(name) for name in packages}
    return versions | {"python": platform.python_version()}
