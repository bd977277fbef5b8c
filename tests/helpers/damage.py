"""A bundle with one wrong weight, for proofs that damage is found and named."""

import shutil
from pathlib import Path

import numpy as np

from pocketdet.runtime.bundle import hash_file, manifest_to_json, parse_manifest
from pocketdet.runtime.ncnn_graph import read_graph, write_graph


def rehash(bundle: Path) -> None:
    """What an honest tool would do after changing a file: the hashes are right, the content is not."""
    path = bundle / "manifest.json"
    manifest = parse_manifest(path.read_bytes(), str(path))
    files = {name: hash_file(bundle / name) for name in manifest.files}
    path.write_text(manifest_to_json(manifest.model_copy(update={"files": files})))


def damaged_copy(bundle: Path, target: Path, graph: str, layer: str) -> Path:
    """A copy with the largest weight of one layer six times as large, and hashes that agree."""
    shutil.copytree(bundle, target)
    param, bin_ = target / f"{graph}.ncnn.param", target / f"{graph}.ncnn.bin"
    network = read_graph(param, bin_)
    weights = network.layer(layer).weights
    role = "b" if "b" in weights else "weight"
    values = weights[role].values().copy()
    values.flat[np.abs(values).argmax()] *= 6  # the largest is no padding
    weights[role] = weights[role].with_values(values)
    write_graph(network, param, bin_)
    rehash(target)
    return target


def weighted_layers(bundle: Path, graph: str) -> list[str]:
    """Names of the layers of a graph that have weights, in the order of execution."""
    network = read_graph(bundle / f"{graph}.ncnn.param", bundle / f"{graph}.ncnn.bin")
    return [layer.name for layer in network.layers if layer.weights]
