"""The facts that `pocketdet info` prints as tables or as JSON."""

import dataclasses
import json
import struct
from collections import Counter
from collections.abc import Iterable, Mapping
from math import prod
from pathlib import Path
from typing import Any

from pocketdet.errors import CheckpointError
from pocketdet.runtime.bundle import Bundle
from pocketdet.runtime.bundle.one_stage import OneStageManifest
from pocketdet.runtime.bundle.schema import GraphSpec, Manifest
from pocketdet.runtime.bundle.two_stage import TwoStageManifest
from pocketdet.runtime.ncnn_graph import Graph, count_macs, has_known_weights, infer_shapes, read_graph
from pocketdet.runtime.ncnn_graph.feature_mask import kept_in_fp32
from pocketdet.spec.one_stage import BoxCoding, Level, OneStageSpec, Scores

Record = dict[str, Any]

_MAX_HEADER = 64 << 20


def bundle_card(bundle: Bundle) -> Record:
    """The manifest of a bundle, and the cost of its graphs."""
    m = bundle.manifest
    graphs = [_bundle_graph(bundle, name, spec, m.max_rois) for name, spec in m.graphs.by_name().items()]
    return {
        "kind": "bundle",
        "path": str(bundle.source),
        "name": m.name,
        "architecture": m.architecture,
        "detector": m.detector,
        "input": f"{m.input.height} x {m.input.width} pixels, {m.preprocessing.resize}",
        "sizes": [str(size) for size in bundle.sizes],
        "preprocessing": m.preprocessing.model_dump(exclude={"resize"}),
        "classes": list(m.class_names),
        **decode_facts(m),
        "made_for": str(m.precision),
        "layout": m.layout.model_dump(exclude={"fp32_modules"}),
        "graphs": graphs,
        "macs": sum(g["macs"] or 0 for g in graphs),
        "parameters": sum(g["parameters"] for g in graphs),
        "card": dict(m.card),
        "tools": dict(m.tools),
        "digest": bundle.digest,
        "files": {name: entry.model_dump() for name, entry in m.files.items()},
        "bytes": sum(entry.size for entry in m.files.values()),
    }


def decode_facts(manifest: Manifest) -> Record:
    """The settings between the networks and the boxes, by name."""
    if isinstance(manifest, OneStageManifest):
        return _one_stage(manifest.decode)
    assert isinstance(manifest, TwoStageManifest)
    m = manifest
    rois = f"{m.max_rois} RoIs of {m.proposals.pre_nms_top_n}, NMS at IoU {m.proposals.nms_iou:g}"
    return {
        "anchors": f"{len(m.anchors.sizes)} per cell, stride {m.anchors.stride}",
        "proposals": rois,
        "postprocessing": m.postprocessing.model_dump(),
    }


def _one_stage(spec: OneStageSpec) -> Record:
    return {
        "levels": [_level(level) for level in spec.levels],
        "priors": spec.count,
        "box_coding": [_coding(coding) for coding in spec.codings],
        "scores": _scores(spec.scores),
        "selection": {k: v for k, v in dataclasses.asdict(spec.selection).items() if v is not None},
    }


def _level(level: Level) -> str:
    """The grid, the anchors and the outputs of one level."""
    height, width = level.grid
    fields = (level.classes, *level.boxes, *level.sizes, level.objectness)
    outputs = ", ".join(dict.fromkeys(f"{field.output} ({field.layout})" for field in fields if field))
    stride = " x ".join(f"{along:g}" for along in dict.fromkeys(level.strides))
    return f"{height} x {width} cells of {len(level.anchors)}, stride {stride}: {outputs}"


def _coding(coding: BoxCoding) -> str:
    """The encoding, and the fields that differ from their defaults."""
    changed = [
        f"{field.name} {getattr(coding, field.name)}"
        for field in dataclasses.fields(coding)
        if getattr(coding, field.name) != field.default
    ]
    return f"{coding.encoding} ({', '.join(changed)})" if changed else coding.encoding


def _scores(rule: Scores) -> str:
    """The formula of a score, as a product."""
    background = "" if rule.background == "none" else f" with the background {rule.background}"
    classes = f"{rule.activation} of the classes{background}".replace("none of the", "the")
    factors = [_power(classes, rule.class_power)] if rule.class_power else []
    objectness = f"{rule.objectness_activation} of objectness".replace("none of ", "")
    factors += [_power(objectness, rule.objectness_power)] if rule.objectness_power else []
    return " times ".join(factors) or "1"


def _power(words: str, exponent: float) -> str:
    return words if exponent == 1 else f"{words} ^ {exponent:g}"


def _bundle_graph(bundle: Bundle, name: str, spec: GraphSpec, rois: int) -> Record:
    graph = read_graph(bundle.path(spec.param), bundle.path(spec.bin))
    inputs = spec.input_shapes(rois)
    roles = {t.blob: t.role for t in (*spec.inputs, *spec.outputs)}
    outputs = [t.blob for t in spec.outputs]
    return {"name": name, "param": spec.param, **graph_card(graph, inputs, outputs, roles)}


def param_card(param: Path, inputs: Mapping[str, tuple[int, ...]]) -> Record:
    """A .param file, with the weights of the .bin file beside it if it exists."""
    weights = param.with_suffix(".bin")
    graph = read_graph(param)
    if weights.is_file():  # the size of the .bin shows whether layers of unknown types have weights
        unknown = {layer.type for layer in graph.layers if not has_known_weights(layer.type)}
        graph = read_graph(param, weights, foreign=unknown)
    shaped = {name: inputs.get(name, inputs.get("")) for name in graph.input_names()}
    given = {name: shape for name, shape in shaped.items() if shape}
    card = graph_card(graph, given, graph.output_names(), {})
    return {
        "kind": "ncnn graph",
        "path": str(param),
        "weights": str(weights) if weights.is_file() else None,
        **card,
    }


def graph_card(
    graph: Graph, inputs: Mapping[str, tuple[int, ...]], outputs: Iterable[str], roles: Mapping[str, str]
) -> Record:
    """The blobs with shapes, the layers by type with their cost, and the storage of the weights.

    MACs and shapes are `None` if an input's shape is neither given nor in the file, or a layer is unknown.
    """
    shapes = infer_shapes(graph, inputs, partial=True)
    costs = count_macs(graph, shapes)

    def blob(name: str) -> Record:
        return {
            "blob": name,
            "role": roles.get(name),
            "shape": list(shapes[name]) if name in shapes else None,
        }

    kinds = [
        {
            "type": kind,
            "count": count,
            "macs": _sum(c.macs for c in costs if c.type == kind),
            "parameters": sum(c.parameters for c in costs if c.type == kind),
        }
        for kind, count in Counter(c.type for c in costs).most_common()
    ]
    storages = {w.storage for layer in graph.layers for w in layer.weights.values() if w.storage != "raw"}
    return {
        "inputs": [blob(name) for name in graph.input_names()],
        "outputs": [blob(name) for name in outputs],
        "layers": len(graph.layers),
        "layers_by_type": kinds,
        "macs": _sum(c.macs for c in costs),
        "parameters": sum(c.parameters for c in costs),
        "weight_storage": sorted(storages),
        "kept_in_fp32": kept_in_fp32(graph),
        "weight_bytes": _sum(c.weight_bytes for c in costs),
    }


def _sum(values: Iterable[int | None]) -> int | None:
    known = list(values)
    return None if None in known else sum(v for v in known if v is not None)


def weights_card(path: Path) -> Record:
    """A safetensors checkpoint, from its header alone. Raises `CheckpointError`."""
    header = _safetensors_header(path)
    metadata = header.pop("__metadata__", {})
    try:
        config = json.loads(metadata.get("config", "{}"))
        card = json.loads(metadata.get("card", "{}"))
        dtypes = Counter[str]()
        for entry in header.values():
            dtypes[entry["dtype"]] += prod(entry["shape"])
        return {
            "kind": "weights",
            "path": str(path),
            "architecture": config.get("arch"),
            "input_size": config.get("input_size"),
            "classes": list(config.get("class_names", [])),
            "tensors": len(header),
            "parameters": sum(dtypes.values()),
            "parameters_by_type": dict(dtypes),
            "card": dict(card),
            "bytes": path.stat().st_size,
        }
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise CheckpointError(f"{path}: its safetensors header is damaged: {error}") from error


def _safetensors_header(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as stream:
            start = stream.read(8)
            length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
            if not 2 <= length <= min(_MAX_HEADER, path.stat().st_size - 8):
                raise CheckpointError(
                    f"{path}: expected safetensors weights, found another or a damaged file"
                )
            header = json.loads(stream.read(length))
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise CheckpointError(
            f"{path}: expected safetensors weights, found another or a damaged file"
        ) from error
    if not isinstance(header, dict):
        raise CheckpointError(f"{path}: expected safetensors weights, found another or a damaged file")
    return header
