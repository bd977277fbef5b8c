"""What the manifests of all kinds of detectors have in the same way."""

import importlib.metadata
import platform
from collections.abc import Mapping
from typing import Any

from pocketdet import __version__
from pocketdet.export.reference import Identity
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

GOLDEN = Golden(image="golden/image.png", stages="golden/stages.safetensors")


def tensor(role: str, *shape: int | None) -> TensorSpec:
    """A blob named after its role."""
    return TensorSpec(blob=role, role=role, shape=shape)


def graph_spec(name: str, source: TensorSpec, *outputs: TensorSpec) -> GraphSpec:
    """A graph with its ONNX twin; files are named after the graph."""
    return GraphSpec(
        param=f"{name}.ncnn.param",
        bin=f"{name}.ncnn.bin",
        onnx=f"reference/{name}.onnx",
        inputs=(source,),
        outputs=outputs,
    )


def common_fields(
    identity: Identity,
    files: Mapping[str, FileEntry],
    *,
    name: str,
    layout: Layout,
    reference_weights: str | None,
    card: Mapping[str, str],
) -> dict[str, Any]:
    """Fields of the manifest of a bundle whose `files` are written."""
    pre, size = identity.preprocessing, identity.input_size
    return {
        "schema_version": SCHEMA_VERSION,
        "name": name,
        "task": "object-detection",
        "architecture": identity.architecture,
        "input": InputSize(height=size[0], width=size[1]),
        "class_names": identity.class_names,
        "preprocessing": Preprocessing(
            channel_order=pre.channel_order, mean=pre.mean, std=pre.std, resize=pre.resize, pad=pre.pad
        ),
        "layout": layout,
        "golden": GOLDEN,
        "reference_weights": reference_weights,
        "tools": tool_versions(),
        "card": dict(card),
        "files": dict(files),
    }


def tool_versions() -> dict[str, str]:
    """Versions of everything that shaped the files."""
    packages = ("torch", "onnx", "onnxscript", "onnxsim", "onnxruntime", "pnnx", "ncnn", "numpy")
    versions = {name: importlib.metadata.version(name) for name in packages}
    return {"pocketdet": __version__, **versions, "python": platform.python_version()}
