"""The sound bundles that hostile copies are made of: detectors of both kinds, weights of each storage."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
from many_layers import make_many_layers
from tiny_bundle import GOLDEN, list_files, make_tiny_bundle
from tiny_one_stage import make_tiny_one_stage
from tiny_sizes import join_sides, make_tiny_sizes

from pocketdet.export.half_weights import store_half
from pocketdet.export.quantization.layers import to_int8, weight_scales
from pocketdet.runtime.bundle import Bundle, load_bundle, write_golden
from pocketdet.runtime.detector import Detector
from pocketdet.runtime.ncnn_graph import Graph, read_graph, write_graph
from pocketdet.runtime.parity import StageValues
from pocketdet.runtime.pipeline import OneStagePipeline, TwoStagePipeline
from pocketdet.runtime.verification import image_rows

STORAGES = ("fp16", "int8")
NAMES = (
    "two-stage",
    "one-stage",
    "layers",
    *(f"{k}-{s}" for k in ("two-stage", "one-stage") for s in STORAGES),
    "two-stage-sizes",
    "one-stage-sizes",
)


def make_bases(folder: Path) -> dict[str, Path]:
    """Write all of them below `folder`, each with a complete golden that agrees on this machine."""
    two, one = make_tiny_bundle(folder / "two-stage"), make_tiny_one_stage(folder / "one-stage")
    layers = make_many_layers(folder / "layers")
    for bundle in (two, layers):
        _complete_golden(bundle)
    for kind, bundle in (("two-stage", two), ("one-stage", one)):
        for storage, change in (("fp16", store_half), ("int8", _store_int8)):
            copy = Path(shutil.copytree(bundle, folder / f"{kind}-{storage}"))
            _change_weights(copy, storage, change)
            _complete_golden(copy)
    make_tiny_sizes(folder / "one-stage-sizes")
    join_sides(folder / "two-stage-sizes", _make_complete)
    return {name: folder / name for name in NAMES}


def _make_complete(folder: Path, side: int) -> Path:
    _complete_golden(make_tiny_bundle(folder, side))
    return folder


def _store_int8(graph: Graph) -> None:
    for i, layer in enumerate(graph.layers):
        if layer.type in ("Convolution", "InnerProduct"):
            graph.layers[i] = to_int8(layer, weight_scales(layer), 40.0)


def _change_weights(bundle: Path, storage: str, change: Callable[[Graph], object]) -> None:
    for param in sorted(bundle.glob("*.param")):
        graph = read_graph(param, param.with_suffix(".bin"))
        change(graph)
        write_graph(graph, param, param.with_suffix(".bin"))
    path = bundle / "manifest.json"
    document = json.loads(path.read_text())
    document["layout"]["weight_storage"] = storage
    if storage == "fp16":
        for graph in document["graphs"].values():
            graph["arithmetic"] = storage
    document["files"] = list_files(bundle)
    path.write_text(json.dumps(document))


def _complete_golden(folder: Path) -> None:
    """Store what this machine makes of the golden image, in place of what PyTorch would."""
    with load_bundle(folder) as bundle:
        stages = _stages(bundle)
    write_golden(folder, GOLDEN, stages)
    path = folder / "manifest.json"
    document = json.loads(path.read_text())
    document["files"] = list_files(folder)
    path.write_text(json.dumps(document))


def _stages(bundle: Bundle) -> StageValues:
    image = bundle.golden()["image"]
    detector = Detector(bundle, engine="ncnn")
    pipeline = detector.pipeline
    tensor = pipeline.preprocess(image)
    if isinstance(pipeline, TwoStagePipeline):
        maps = pipeline.features(tensor)
        rois = pipeline.propose(maps["rpn_scores"], maps["rpn_deltas"])
        rows = pipeline.roi_features(maps["sam"], rois.boxes)
        between = {
            **maps,
            "proposal_indices": rois.indices,
            "proposal_boxes": rois.boxes,
            "roi_features": rows,
            "head": pipeline.head(rows),
        }
    else:
        assert isinstance(pipeline, OneStagePipeline)
        between = {f"outputs.{role}": value for role, value in pipeline.model(tensor).items()}
    found = detector.detect(image)
    return {
        "image": image,
        "image_rows": image_rows(image),
        "resized": pipeline.resize(image),
        "normalised": tensor,
        **{name: np.ascontiguousarray(value) for name, value in between.items()},
        "boxes": found.boxes,
        "scores": found.scores,
        "labels": found.labels,
    }
