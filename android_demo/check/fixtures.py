"""What the JNI tests work on: bundles, damaged bundles, images, and what Python's detector finds in them.

    python android_demo/check/fixtures.py FOLDER

bundles/NAME.pocketdet; images/NN.rgba with images.tsv (file, width, height); expected/NAME.tsv, a line
per detection (image, x1, y1, x2, y2, score, label, name); damaged.tsv (folder, exception, part of message).
"""

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pocketdet.datasets.scenes import random_scene, render_scene
from pocketdet.export import ExportOptions, export_detector
from pocketdet.models.checkpoint import load_checkpoint
from pocketdet.models.config import DetectorConfig
from pocketdet.models.random_init import random_thundernet
from pocketdet.models.zoo import FOD, zoo_weights
from pocketdet.runtime.bundle import hash_file
from pocketdet.runtime.detector import Detector

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests" / "helpers"))
from tiny_bundle import make_tiny_bundle  # noqa: E402
from tiny_one_stage import make_tiny_layouts, make_tiny_one_stage  # noqa: E402
from tiny_sizes import SIDES, make_tiny_sizes  # noqa: E402

IMAGES = 20
Pixels = NDArray[np.uint8]


def main(folder: Path) -> None:
    """Write all of it as a new folder."""
    torch.set_num_threads(1)
    shutil.rmtree(folder, ignore_errors=True)
    for name in ("bundles", "damaged", "images", "expected"):
        (folder / name).mkdir(parents=True)
    bundles = write_bundles(folder / "bundles")
    images = list(scenes())
    write_images(folder, images)
    for name in ("shipped", "other", "tiny-one-stage", "tiny-layouts"):
        write_expected(folder / "expected" / f"{name}.tsv", bundles[name], images)
    for side in SIDES:
        path = folder / "expected" / f"tiny-sizes-{side}.tsv"
        write_expected(path, bundles["tiny-sizes"], images, side)
    write_damaged(folder, bundles["tiny"])


def write_bundles(folder: Path) -> dict[str, Path]:
    """The shipped detector, one with other classes and sizes, and quick ones of both kinds."""
    config = DetectorConfig("thundernet-snet49", ("Bär", "盒子", "𝄞 clef"), input_size=(96, 160))
    models = {"shipped": load_checkpoint(zoo_weights(FOD)), "other": random_thundernet(config, seed=3)}
    made = {name: export_detector(m, folder, ExportOptions(name=name)).path for name, m in models.items()}
    made["tiny-one-stage"] = make_tiny_one_stage(folder / "tiny-one-stage.pocketdet")
    made["tiny-sizes"] = make_tiny_sizes(folder / "tiny-sizes.pocketdet")
    made["tiny-layouts"] = make_tiny_layouts(folder / "tiny-layouts.pocketdet")
    return made | {"tiny": make_tiny_bundle(folder / "tiny.pocketdet")}


def scenes() -> Iterator[Pixels]:
    """Rendered images of what the shipped detector knows, upright and wide by turns."""
    for seed in range(IMAGES):
        rng = np.random.default_rng(seed)
        yield render_scene(random_scene(rng, (320, 240) if seed % 2 else (400, 480)), rng).image


def write_images(folder: Path, images: list[Pixels]) -> None:
    """RGBA rows without gaps, and the list of them."""
    lines = []
    for i, image in enumerate(images):
        height, width, _ = image.shape
        alpha = np.full((height, width, 1), 77, np.uint8)
        (folder / "images" / f"{i:02d}.rgba").write_bytes(np.concatenate([image, alpha], axis=2).tobytes())
        lines.append(f"{i:02d}.rgba\t{width}\t{height}\n")
    (folder / "images.tsv").write_text("".join(lines))


def write_expected(path: Path, bundle: Path, images: list[Pixels], size: int | None = None) -> None:
    """A line per detection of Python's detector, which uses the ncnn of the package index."""
    lines = []
    with Detector(bundle, engine="ncnn", size=size) as detector:
        for i, image in enumerate(images):
            found = detector.detect(image)
            for box, score, label, name in zip(
                found.boxes, found.scores, found.labels, found.names, strict=True
            ):
                numbers = "\t".join(repr(float(x)) for x in (*box, score))
                lines.append(f"{i}\t{numbers}\t{label}\t{name}\n")
    path.write_text("".join(lines), encoding="utf-8")


def write_damaged(folder: Path, sound: Path) -> None:
    """Copies with one thing wrong each: the exception, and words that its message must have."""
    lines = [f"{folder / 'damaged' / 'nowhere.pocketdet'}\tBundleException\tno such bundle\n"]
    for name, (damage, rehashed, exception, words) in DAMAGES.items():
        bundle = folder / "damaged" / f"{name}.pocketdet"
        shutil.copytree(sound, bundle)
        damage(bundle)
        if rehashed:
            rehash(bundle)
        lines.append(f"{bundle}\t{exception}\t{words}\n")
    (folder / "damaged.tsv").write_text("".join(lines), encoding="utf-8")


def rehash(bundle: Path) -> None:
    """Make the manifest's hashes those of the files, as somebody would who edits a bundle on purpose."""

    def change(document: dict[str, Any]) -> None:
        document["files"] = {name: hash_file(bundle / name).model_dump() for name in document["files"]}

    edit_manifest(change)(bundle)


def edit_manifest(change: Callable[[dict[str, Any]], None]) -> Callable[[Path], None]:
    """The damage that a change of the manifest's JSON is."""

    def apply(bundle: Path) -> None:
        path = bundle / "manifest.json"
        document = json.loads(path.read_text(encoding="utf-8"))
        change(document)
        path.write_text(json.dumps(document), encoding="utf-8")

    return apply


def edit_bytes(name: str, change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    """The damage that a change of one file's bytes is."""

    def apply(bundle: Path) -> None:
        (bundle / name).write_bytes(change((bundle / name).read_bytes()))

    return apply


def delete(name: str) -> Callable[[Path], None]:
    """The damage that a missing file is."""
    return lambda bundle: (bundle / name).unlink()


def zipped(bundle: Path) -> None:
    """A file where a folder is expected."""
    shutil.rmtree(bundle)
    bundle.write_bytes(b"PK\3\4")


def flip_last_bit(data: bytes) -> bytes:
    """The same length, another hash."""
    return data[:-1] + bytes([data[-1] ^ 1])


WEIGHTS, GRAPH, MANIFEST = "features.ncnn.bin", "features.ncnn.param", "manifest.json"
Damage = tuple[Callable[[Path], None], bool, str, str]  # ..., rehashed, exception, words of its message
DAMAGES: dict[str, Damage] = {
    "zipped": (zipped, False, "BundleException", "must be unpacked first"),
    "no-manifest": (delete(MANIFEST), False, "BundleException", "copy or export it again"),
    "no-weights": (delete("head.ncnn.bin"), False, "BundleException", "the bundle is incomplete"),
    "wrong-hash": (edit_bytes(WEIGHTS, flip_last_bit), False, "BundleException", "expected SHA-256"),
    "truncated": (edit_bytes(WEIGHTS, lambda data: data[:-4]), False, "BundleException", "bytes, found"),
    "no-json": (edit_bytes(MANIFEST, lambda data: data[:99]), False, "BundleException", "JSON"),
    "newer-schema": (
        edit_manifest(lambda document: document.update(schema_version=99)),
        *(False, "BundleException", "newer pocketdet"),
    ),
    "wrong-type": (
        edit_manifest(lambda document: document.update(class_names="bolt")),
        *(False, "BundleException", "class_names"),
    ),
    "unknown-layer": (
        edit_bytes(GRAPH, lambda data: data.replace(b"Pooling ", b"Wishing ", 1)),
        *(True, "GraphException", "layer type Wishing"),
    ),
    "other-weights": (
        edit_bytes(WEIGHTS, lambda data: data + bytes(4)),
        *(True, "GraphException", "do the .param and .bin belong together?"),
    ),
}


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
