"""A complete bundle small enough to make by hand: 32x32 input, one anchor per cell, two classes.

python tests/helpers/tiny_bundle.py FOLDER writes this one and that of `tiny_one_stage` there.
"""

import json
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pocketdet.runtime.bundle import hash_file, manifest_to_json, parse_manifest, write_golden
from pocketdet.runtime.bundle.schema import SCHEMA_VERSION, Golden

Record = dict[str, Any]

GOLDEN = Golden(image="golden/image.png", stages="golden/stages.safetensors")

# Every layer type that a ThunderNet uses, on an 8x8, a 4x4 and a 2x2 grid.
FEATURES = """7767517
19 24
Input                image     0 1 in0 0=32 1=32 2=3
Convolution          stem      1 1 in0 c1 0=8 1=3 3=4 4=1 5=1 6=216 9=1
Slice                halves    1 2 c1 half0 half1 -23300=2,-233,-233 1=0
ConvolutionDepthWise depthwise 1 1 half1 half2 0=4 1=3 4=1 5=1 6=36 7=4
Concat               join      2 1 half0 half2 c2 0=0
ShuffleChannel       shuffle   1 1 c2 c3 0=2
Pooling              pool      1 1 c3 c4 0=0 1=3 2=2 3=1 5=1
Convolution          pointwise 1 1 c4 c5 0=8 1=1 3=2 5=1 6=64 9=1
Split                fan       1 3 c5 c5a c5b c5c
Reduction            mean      1 1 c5a m1 0=3 1=0 -23303=2,1,2 4=1 5=1
Convolution          context   1 1 m1 m2 0=8 1=1 5=1 6=64
BinaryOp             add       2 1 c5b m2 a1 0=0
Interp               double    1 1 c5c u1 0=1 1=2.0 2=2.0
Pooling              halve     1 1 u1 u2 0=1 1=2 2=2 5=1
BinaryOp             add2      2 1 a1 u2 a2 0=0
Split                fan2      1 3 a2 a2a a2b a2c
Convolution          scores    1 1 a2a out0 0=2 1=1 5=1 6=16
Convolution          deltas    1 1 a2b out1 0=4 1=1 5=1 6=32
Convolution          sam       1 1 a2c out2 0=4 1=1 5=1 6=32
"""
HEAD = """7767517
3 3
Input                    features                 0 1 in0
InnerProduct             fc                       1 1 in0 f1 0=16 1=1 2=64 9=1
InnerProduct             outputs                  1 1 f1 out0 0=7 1=1 2=112
"""
FEATURES_WEIGHTS = ((216, 8), (36, 4), (64, 8), (64, 8), (16, 2), (32, 4), (32, 4))
HEAD_WEIGHTS = ((64, 16), (112, 7))


def weights_file(blobs: Sequence[tuple[int, int]], rng: np.random.Generator) -> bytes:
    """A .bin of layers with so many weights and biases each."""
    parts = []
    for weights, bias in blobs:
        parts += [b"\0\0\0\0", rng.normal(0, 0.3, weights).astype("<f4").tobytes()]
        parts += [rng.normal(0, 0.1, bias).astype("<f4").tobytes()]
    return b"".join(parts)


def blob(name: str, role: str, *shape: int | None) -> Record:
    return {"blob": name, "role": role, "shape": shape}


def graph(name: str, inputs: list[Record], outputs: list[Record]) -> Record:
    paths = {"param": f"{name}.ncnn.param", "bin": f"{name}.ncnn.bin"}
    return {**paths, "inputs": inputs, "outputs": outputs}


def common_fields(name: str, folder: Path) -> Record:
    """What the manifests of both kinds have, with the files that are in `folder`."""
    return {
        "schema_version": SCHEMA_VERSION,
        "name": name,
        "task": "object-detection",
        "architecture": f"{name}-by-hand",
        "input": {"height": 32, "width": 32},
        "class_names": ["bolt", "wrench"],
        "preprocessing": {
            "channel_order": "RGB",
            "mean": [123.675, 116.28, 103.53],
            "std": [58.395, 57.12, 57.375],
            "resize": "letterbox",
            "pad": [124, 116, 104],
        },
        "layout": {"weight_storage": "fp32", "lanes": 1},
        "golden": GOLDEN.model_dump(),
        "tools": {"pocketdet": "test"},
        "files": list_files(folder),
    }


def _two_stage_fields(side: int) -> Record:
    cells = side // 16
    maps = [("rpn_scores", 2), ("rpn_deltas", 4), ("sam", 4)]
    return {
        "detector": "two-stage",
        "input": {"height": side, "width": side},
        "graphs": {
            "features": graph(
                "features",
                [blob("in0", "image", 3, side, side)],
                [blob(f"out{i}", role, channels, cells, cells) for i, (role, channels) in enumerate(maps)],
            ),
            "head": graph(
                "head",
                [blob("in0", "roi_features", None, 4)],
                [blob("out0", "class_logits_and_deltas", None, 7)],
            ),
        },
        "anchors": {"stride": 16, "sizes": [[16.0, 12.0]]},
        "proposals": {"pre_nms_top_n": 100, "post_nms_top_n": 20, "nms_iou": 0.7, "min_size": 1.0},
        "roi_head": {
            "alpha": 1,
            "pool_size": 2,
            "sampling_ratio": 2,
            "delta_std": [0.1, 0.1, 0.2, 0.2],
        },
        "postprocessing": {
            "score_threshold": 0.05,
            "nms": "hard",
            "nms_iou": 0.5,
            "sigma": 0.5,
            "max_detections": 100,
        },
    }


def write_manifest(folder: Path, name: str, fields: Record) -> None:
    """manifest.json, as the exporter would write it."""
    data = json.dumps({**common_fields(name, folder), **fields}).encode()
    (folder / "manifest.json").write_text(manifest_to_json(parse_manifest(data, name)), encoding="utf-8")


def list_files(folder: Path) -> Record:
    paths = sorted(p for p in folder.rglob("*") if p.is_file() and p.name != "manifest.json")
    return {p.relative_to(folder).as_posix(): hash_file(p).model_dump() for p in paths}


def make_tiny_bundle(folder: Path, side: int = 32) -> Path:
    """Write the bundle as a new folder, for inputs of `side` pixels, a multiple of 16."""
    rng = np.random.default_rng(7)
    folder.mkdir()
    (folder / "features.ncnn.param").write_text(FEATURES.replace("0=32 1=32", f"0={side} 1={side}"))
    (folder / "features.ncnn.bin").write_bytes(weights_file(FEATURES_WEIGHTS, rng))
    (folder / "head.ncnn.param").write_text(HEAD)
    (folder / "head.ncnn.bin").write_bytes(weights_file(HEAD_WEIGHTS, rng))
    image = rng.integers(0, 256, (24, 40, 3), dtype=np.uint8)
    write_golden(folder, GOLDEN, {"image": image, "rpn_scores": np.zeros((2, 2, 2), np.float32)})
    write_manifest(folder, "tiny", _two_stage_fields(side))
    return folder


@pytest.fixture(scope="session")
def tiny_bundle_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One tiny bundle for the whole session. Read it, never change it."""
    return make_tiny_bundle(tmp_path_factory.mktemp("bundle") / "tiny.pocketdet")


@pytest.fixture
def tiny_bundle(tiny_bundle_template: Path, tmp_path: Path) -> Path:
    """A fresh copy of the tiny bundle for a test to change."""
    return Path(shutil.copytree(tiny_bundle_template, tmp_path / "tiny.pocketdet"))


@pytest.fixture(scope="session")
def rehash() -> Callable[[Path], None]:
    """Make the hashes in a bundle's manifest agree with its files again, whatever they hold now."""

    def apply(folder: Path) -> None:
        manifest = folder / "manifest.json"
        document = json.loads(manifest.read_text(encoding="utf-8"))
        document["files"] = list_files(folder)
        manifest.write_text(json.dumps(document), encoding="utf-8")

    return apply


if __name__ == "__main__":
    from tiny_one_stage import make_tiny_one_stage

    here = Path(sys.argv[1])
    sys.stdout.write(f"{make_tiny_bundle(here / 'tiny.pocketdet')}\n")
    sys.stdout.write(f"{make_tiny_one_stage(here / 'tiny-one-stage.pocketdet')}\n")
