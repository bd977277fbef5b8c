"""Load and validate an untrusted bundle: its networks too, before a native loader reads them."""

import hashlib
import os
import shutil
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import ncnn
from numpy.typing import NDArray

from pocketdet.errors import BundleError, GraphError, UsageError
from pocketdet.io import os_errors
from pocketdet.runtime.bundle.archive import ArchiveSource
from pocketdet.runtime.bundle.files import FileSource, FolderSource, read_limited, stage_files
from pocketdet.runtime.bundle.golden import read_golden
from pocketdet.runtime.bundle.manifest import MAX_MANIFEST_BYTES, parse_sizes
from pocketdet.runtime.bundle.schema import (
    MANIFEST_NAME,
    GraphSpec,
    InputSize,
    Manifest,
    SizeChoice,
    TensorSpec,
)
from pocketdet.runtime.ncnn_graph import Shape, ValidGraph, check_no_int8, infer_shapes, read_graph, validate

_FEWER_ROIS = (1, 7)


def check_graph(spec: GraphSpec, folder: Path, rois: int, label: str, *, has_int8: bool = True) -> ValidGraph:
    """Validate a graph against the installed ncnn and the shapes of the manifest.

    The C++ detector has the same steps in `detector/graph_check.cpp`.

    Args:
        spec: the graph's entry in the manifest.
        folder: folder with the files.
        rois: maximum number of RoIs. If shapes depend on it, smaller numbers are checked too.
        label: name of the bundle in messages.
        has_int8: whether layers may be int8.

    Raises:
        GraphError: if the graph is invalid.
    """
    try:
        graph = read_graph(folder / spec.param, folder / spec.bin)
        outputs = [output.blob for output in spec.outputs]
        valid = validate(graph, _shapes(spec.inputs, rois), ncnn_has_layer, outputs=outputs)
        if not has_int8:
            check_no_int8(graph)
        _check_outputs(spec, valid.shapes, rois)
        for fewer in _FEWER_ROIS if any(None in source.shape for source in spec.inputs) else ():
            _check_outputs(spec, infer_shapes(graph, _shapes(spec.inputs, fewer)), fewer)
    except GraphError as error:
        raise GraphError(f"{label}: {error}") from error
    return valid


def ncnn_has_layer(layer_type: str) -> bool:
    """Whether the installed ncnn has this layer type."""
    return bool(ncnn.layer_to_index(layer_type) >= 0)


def _shapes(tensors: tuple[TensorSpec, ...], rois: int) -> dict[str, Shape]:
    return {t.blob: tuple(rois if n is None else n for n in t.shape) for t in tensors}


def _check_outputs(spec: GraphSpec, found: Mapping[str, Shape], rois: int) -> None:
    for blob, shape in _shapes(spec.outputs, rois).items():
        if found.get(blob) != shape:
            raise GraphError(
                f"{spec.param}: blob {blob!r} has the shape {found.get(blob)}, the manifest says {shape}"
            )


def _write(path: Path, data: bytes, source: Path) -> None:
    with os_errors(BundleError, f"{source}: {path} cannot be written"):
        path.write_bytes(data)


@dataclass(frozen=True, eq=False)
class Bundle:
    """A validated bundle at one of its input sizes.

    Its files are private copies, deleted by `close()` or with the last reference.

    Attributes:
        manifest: description of the detector at this input size.
        sizes: all input sizes of the bundle, the default one first.
        source: path that the bundle was loaded from.
        digest: SHA-256 of manifest.json. It identifies the whole bundle, because the manifest lists the
            hashes of all other files.
    """

    manifest: Manifest
    sizes: tuple[InputSize, ...]
    source: Path
    digest: str
    _folder: Path = field(repr=False)
    _process: int = field(default_factory=os.getpid, repr=False)

    def __post_init__(self) -> None:
        weakref.finalize(self, _remove, self._folder, self._process)

    @property
    def folder(self) -> Path:
        """The verified copy of the whole bundle, a folder with the manifest.

        Raises:
            BundleError: if the bundle is closed.
        """
        if not self._folder.exists():
            raise BundleError(f"{self.source}: the bundle is closed; load it again")
        return self._folder

    def path(self, name: str) -> Path:
        """Return the path of the verified copy of a file.

        Raises:
            BundleError: if the file is not listed or the bundle is closed.
        """
        if name not in self.manifest.files:
            raise BundleError(f"{self.source}: {name!r} is not a file of this bundle")
        return self.folder / name

    def read_bytes(self, name: str) -> bytes:
        """Return the content of a listed file. Raises `BundleError` as `path` does."""
        return self.path(name).read_bytes()

    def golden(self) -> dict[str, NDArray[Any]]:
        """Return the golden image ("image", (H, W, 3) uint8 RGB) and PyTorch's values of each stage by name.

        Raises:
            BundleError, ImageError: if they cannot be read.
        """
        golden = self.manifest.golden
        label = f"{self.source}/{golden.stages}"
        return read_golden(self.path(golden.image), self.path(golden.stages), label)

    def close(self) -> None:
        """Delete the private copies. `manifest` remains available. Closing twice is allowed."""
        _remove(self._folder, self._process)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _remove(folder: Path, process: int) -> None:
    """Delete the private copies, except in a fork of the process that made them."""
    if os.getpid() == process:
        shutil.rmtree(folder, ignore_errors=True)


def load_bundle(path: str | os.PathLike[str], size: SizeChoice | None = None) -> Bundle:
    """Load and validate an untrusted bundle.

    Validates, in this order: manifest.json against the schema; size and SHA-256 of each listed file (other
    files are ignored); the graphs of the input size against the installed ncnn and the blobs and shapes of
    the manifest. The bundle uses private copies made while hashing, in the system's temporary folder.

    Args:
        path: a bundle folder, or the same as a zip file.
        size: one of the bundle's input sizes in pixels, (height, width) or the side of a square. Default: the
            first one.

    Returns:
        The bundle. Close it, or use it as a context manager.

    Raises:
        BundleError: if the bundle is missing, damaged, edited, unsafe or too large.
        GraphError: if a network is one that ncnn could not run safely.
        UsageError: if the bundle does not have the size.
    """
    source = Path(path)
    try:
        files: FileSource
        if source.is_dir():
            files = FolderSource(source)
        elif source.is_file():
            files = ArchiveSource(source)
        else:
            raise BundleError(f"{source}: no such bundle; expected a folder or a zip file")
    except (OSError, ValueError) as error:
        raise BundleError(f"{str(source)!r}: not a usable path: {error}") from error
    try:
        data = read_limited(files, MANIFEST_NAME, MAX_MANIFEST_BYTES, str(source))
        manifests = parse_sizes(data, f"{source}/{MANIFEST_NAME}")
        manifest = _at_size(manifests, size, source)
        folder = _stage(files, data, manifest, source)
    finally:
        files.close()
    sizes = tuple(one.input for one in manifests)
    return Bundle(manifest, sizes, source, hashlib.sha256(data).hexdigest(), folder)


def _at_size(manifests: Sequence[Manifest], size: SizeChoice | None, source: Path) -> Manifest:
    if size is None:
        return manifests[0]
    for manifest in manifests:
        if manifest.input.is_size(size):
            return manifest
    sizes = ", ".join(str(manifest.input) for manifest in manifests)
    wanted = "x".join(map(str, size)) if isinstance(size, tuple) else f"{size}x{size}"
    raise UsageError(f"{source}: input size {wanted}: expected a size of this bundle: {sizes}")


def _stage(files: FileSource, data: bytes, manifest: Manifest, source: Path) -> Path:
    """Return a new folder with verified copies of all files and of the manifest."""
    try:
        folder = Path(tempfile.mkdtemp(prefix="pocketdet-"))
    except OSError as error:
        raise BundleError(f"{source}: no temporary folder can be made for its files: {error}") from error
    try:
        stage_files(files, manifest.files, folder, str(source))
        _write(folder / MANIFEST_NAME, data, source)
        has_int8 = manifest.layout.weight_storage == "int8"
        for spec in manifest.graphs.by_name().values():
            check_graph(spec, folder, manifest.max_rois, str(source), has_int8=has_int8)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return folder
