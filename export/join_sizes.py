"""Join the bundles of one detector at several input sizes.

Files with equal content are written once: the weights of a convolutional network do not depend on the size,
and the head of a two-stage detector does not at all.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

from pocketdet.errors import ExportError
from pocketdet.export.write_bundle import write_manifest
from pocketdet.runtime.bundle.schema import Manifest

# Fields of a whole bundle that the exports of two sizes need not agree on.
_OF_FILES = {"files", "reference_weights"}


def join_sizes(scratch: Path, first: Manifest, others: Sequence[tuple[Path, Manifest]]) -> Manifest:
    """Add further input sizes to the bundle in `scratch`, and write its manifest again.

    Further sizes have no ONNX files, which would hold the weights once more.

    Args:
        scratch: folder of the bundle at the default size.
        first: its manifest.
        others: folder and manifest of the same detector at each other size.

    Returns:
        The manifest at the default size, with the files of all sizes.

    Raises:
        ExportError: if the detectors differ in more than the size.
    """
    known = {entry.sha256: name for name, entry in first.files.items()}
    joined = []
    for folder, manifest in others:
        _check_same_detector(first, manifest)
        joined.append(_with_shared_files(manifest, folder, scratch, known))
    return write_manifest(scratch, lambda files: first.model_copy(update={"files": files}), joined)


def _check_same_detector(first: Manifest, other: Manifest) -> None:
    for name in type(first).model_fields:
        if name not in (*first.size_fields, *_OF_FILES) and getattr(first, name) != getattr(other, name):
            raise ExportError(
                f"{first.name} at {other.input} differs from {first.input} in {name!r}: one bundle holds the "
                "sizes of one detector"
            )


def _with_shared_files(manifest: Manifest, folder: Path, scratch: Path, known: dict[str, str]) -> Manifest:
    """Copy the files of a size that are new to a folder of its own; `known` has their names by SHA-256."""

    def place(name: str) -> str:
        digest = manifest.files[name].sha256
        if digest not in known:
            known[digest] = f"{manifest.input}/{name}"
            target = scratch / known[digest]
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder / name, target)
        return known[digest]

    specs = {
        name: spec.model_copy(
            update={
                "param": place(spec.param),
                "bin": place(spec.bin),
                "onnx": None,
                "lane_layouts": place(spec.lane_layouts) if spec.lane_layouts else None,
            }
        )
        for name, spec in manifest.graphs.by_name().items()
    }
    files = {"image": place(manifest.golden.image), "stages": place(manifest.golden.stages)}
    return manifest.model_copy(
        update={
            "graphs": type(manifest.graphs)(**specs),
            "golden": manifest.golden.model_copy(update=files),
        }
    )
