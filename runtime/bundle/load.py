"""Open a bundle that a stranger made, or refuse it."""

import hashlib
import os
import shutil
import tempfile
import weakref
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from numpy.typing import NDArray

from pocketdet.errors import BundleError
from pocketdet.runtime.bundle.archive import ArchiveSource
from pocketdet.runtime.bundle.files import FileSource, FolderSource, read_limited, stage_files
from pocketdet.runtime.bundle.golden import read_golden
from pocketdet.runtime.bundle.graphs import check_graph
from pocketdet.runtime.bundle.manifest import MAX_MANIFEST_BYTES, parse_manifest
from pocketdet.runtime.bundle.schema import MANIFEST_NAME, Manifest


@dataclass(frozen=True, eq=False)
class Bundle:
    """A verified bundle. Its files are private copies that go away with `close()` or the last reference.

    manifest: what the bundle is. source: where it was read. digest: SHA-256 of manifest.json, which lists the
    hashes of all other files, so that it names the whole bundle.
    """

    manifest: Manifest
    source: Path
    digest: str
    _folder: Path = field(repr=False)
    _process: int = field(default_factory=os.getpid, repr=False)

    def __post_init__(self) -> None:
        weakref.finalize(self, _remove, self._folder, self._process)

    def path(self, name: str) -> Path:
        """The verified copy of a file that the manifest lists.

        Raises `BundleError` if it is not listed or the bundle is closed.
        """
        if name not in self.manifest.files:
            raise BundleError(f"{self.source}: {name!r} is not a file of this bundle")
        path = self._folder / name
        if not path.exists():
            raise BundleError(f"{self.source}: the bundle is closed; load it again")
        return path

    def read_bytes(self, name: str) -> bytes:
        """The content of a listed file. Raises `BundleError` as `path` does."""
        return self.path(name).read_bytes()

    def golden(self) -> dict[str, NDArray[Any]]:
        """The golden input ("image", (H, W, 3) uint8 RGB) and what PyTorch made of it, by stage name.

        Raises `BundleError` or `ImageError` if it cannot be read.
        """
        golden = self.manifest.golden
        label = f"{self.source}/{golden.stages}"
        return read_golden(self.path(golden.image), self.path(golden.stages), label)

    def close(self) -> None:
        """Delete the private copies; `manifest` stays usable. Closing twice is allowed."""
        _remove(self._folder, self._process)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _remove(folder: Path, process: int) -> None:
    """Delete the private copies, but not in a fork of the process that made them, which may need them."""
    if os.getpid() == process:
        shutil.rmtree(folder, ignore_errors=True)


def load_bundle(path: str | os.PathLike[str]) -> Bundle:
    """Open a bundle: a directory, or the same as one zip file, from anyone.

    In this order: manifest.json against the schema; each listed file's size and SHA-256 (what is not listed
    is not used); all graphs against the ncnn at hand and the manifest's blobs and shapes. Everything used
    later is a private copy made while hashing, under the system's temporary directory.

    Raises `BundleError` (missing, damaged, edited, unsafe or too large), `GraphError` (a network that ncnn
    could not run safely).
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
        manifest = parse_manifest(data, f"{source}/{MANIFEST_NAME}")
        return _load_staged(files, manifest, source, hashlib.sha256(data).hexdigest())
    finally:
        files.close()


def _load_staged(files: FileSource, manifest: Manifest, source: Path, digest: str) -> Bundle:
    try:
        folder = Path(tempfile.mkdtemp(prefix="pocketdet-"))
    except OSError as error:
        raise BundleError(f"{source}: no temporary folder can be made for its files: {error}") from error
    try:
        stage_files(files, manifest.files, folder, str(source))
        has_int8 = manifest.layout.weight_storage == "int8"
        for spec in manifest.graphs.by_name().values():
            check_graph(spec, folder, manifest.most_rois, str(source), has_int8=has_int8)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return Bundle(manifest, source, digest, folder)
