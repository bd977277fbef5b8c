"""Write a bundle completely or not at all.

All files are written into a temporary folder beside the target, loaded with the checks for untrusted bundles,
flushed, and then renamed. Ctrl-C, a full disk or a failed check leave no files. The next export into the same
folder removes the files of a killed process.
"""

import errno
import importlib.metadata
import os
import platform
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pocketdet import __version__
from pocketdet.errors import ExportError
from pocketdet.export.reference.base import Identity
from pocketdet.io import exchange, rename_new, scratch_folder
from pocketdet.runtime.bundle import hash_file, load_bundle, manifest_to_json
from pocketdet.runtime.bundle.schema import (
    MANIFEST_NAME,
    SCHEMA_VERSION,
    FileEntry,
    Golden,
    InputSize,
    Layout,
    Manifest,
    Preprocessing,
)

SUFFIX = ".pocketdet"
GOLDEN = Golden(image="golden/image.png", stages="golden/stages.safetensors")

_STAGED = "bundle"
_TAKEN = (errno.EEXIST, errno.ENOTEMPTY)


@contextmanager
def staging_directory(target: Path) -> Iterator[Path]:
    """A temporary folder for the files of a bundle, on the file system of `target`.

    Missing parents of `target` are created, and removed again if they stay empty.

    Raises:
        ExportError: if the folder cannot be written or the disk is full.
    """
    made = [folder for folder in (target.parent, *target.parent.parents) if not folder.exists()]
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with scratch_folder(target.parent) as scratch:
            (scratch / "probe").write_bytes(b"\0")  # reports a full disk at once, not after minutes
            (scratch / _STAGED).mkdir()
            yield scratch / _STAGED
    except OSError as error:
        raise _cannot_write(target, error) from error
    finally:
        for folder in made:
            with suppress(OSError):
                folder.rmdir()


def write_manifest(
    scratch: Path, make_manifest: Callable[[dict[str, FileEntry]], Manifest], further: Sequence[Manifest] = ()
) -> Manifest:
    """Write the manifest of the files in `scratch`, and load the bundle once at each input size.

    Args:
        scratch: the bundle's folder.
        make_manifest: receives the size and hash of every file by its name in the bundle.
        further: the manifests of the input sizes beside the default one.

    Returns:
        The manifest at the default input size.
    """
    (scratch / MANIFEST_NAME).unlink(missing_ok=True)
    paths = sorted(p for p in scratch.rglob("*") if p.is_file())
    files = {p.relative_to(scratch).as_posix(): hash_file(p) for p in paths}
    manifest = make_manifest(files)
    (scratch / MANIFEST_NAME).write_text(manifest_to_json(manifest, *further), encoding="utf-8")
    for one in (manifest, *further):
        load_bundle(scratch, (one.input.height, one.input.width)).close()
    return manifest


def common_fields(
    identity: Identity,
    files: Mapping[str, FileEntry],
    *,
    name: str,
    layout: Layout,
    golden_threshold: float | None,
    reference_weights: str | None,
    card: Mapping[str, str],
) -> dict[str, Any]:
    """The fields of a manifest that do not depend on the kind of detector.

    Args:
        identity: of the detector.
        files: all other files of the bundle.
        name: of the bundle.
        layout: storage of the weights, and channel alignment.
        golden_threshold: score threshold of the golden test, if it has one of its own.
        reference_weights: the file of the PyTorch weights, if the bundle has one.
        card: facts about the training.
    """
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
        "golden": GOLDEN.model_copy(update={"score_threshold": golden_threshold}),
        "reference_weights": reference_weights,
        "tools": tool_versions(),
        "card": dict(card),
        "files": dict(files),
    }


def tool_versions() -> dict[str, str]:
    """The versions of the packages that the files depend on."""
    packages = ("torch", "onnx", "onnxscript", "onnxsim", "onnxruntime", "pnnx", "ncnn", "numpy")
    versions = {name: importlib.metadata.version(name) for name in packages}
    return {"pocketdet": __version__, **versions, "python": platform.python_version()}


def commit(scratch: Path, target: Path, *, overwrite: bool = False) -> None:
    """Move a complete bundle to `target`, as a folder or, if `target` ends in .zip, as one file.

    Several processes may commit to one path at the same time: without `overwrite` the first one succeeds,
    with it the last one replaces the others.

    Args:
        scratch: a folder from `staging_directory` with a manifest.
        target: the path of the bundle.
        overwrite: whether an existing bundle is replaced.

    Raises:
        ExportError: as `check_output_path`.
    """
    check_output_path(target, overwrite=overwrite)
    source = _zipped(scratch, scratch.with_name(target.name)) if target.suffix == ".zip" else scratch
    for path in [source] if source.is_file() else source.rglob("*"):
        if path.is_file():
            _flush(path)
    while True:
        try:
            return rename_new(source, target)
        except OSError as error:
            if error.errno not in _TAKEN:
                raise
        check_output_path(target, overwrite=overwrite)
        try:
            return _replace(source, target)
        except OSError as error:  # another process has moved the target, or a new one to it
            if error.errno not in (*_TAKEN, errno.ENOENT):
                raise


def _replace(source: Path, target: Path) -> None:
    """Replace `target` by `source`. The old target moves into the temporary folder of `source`.

    If the move fails or is interrupted, the old target is restored. Raises `OSError`.
    """
    if exchange(source, target):
        return
    retired = Path(tempfile.mkdtemp(dir=source.parent)) / target.name
    target.rename(retired)
    try:
        source.rename(target)
    except BaseException:
        if not os.path.lexists(target):
            retired.rename(target)
        raise


def _flush(path: Path) -> None:
    """Flush a file to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def check_output_path(target: Path, *, overwrite: bool) -> None:
    """Check that a bundle can be written to `target`.

    Raises:
        ExportError: if `target` exists and `overwrite` is false, or if it is not a bundle.
    """
    while os.path.lexists(target):
        if not overwrite:
            raise ExportError(f"{target} exists already: choose another --out or --name, or pass --overwrite")
        before = _identity(target)
        problem = _not_a_bundle(target)
        if not problem:
            return
        if _identity(target) == before:  # no other process has replaced it meanwhile
            raise ExportError(f"{target} is {problem}: it will not be overwritten")


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _not_a_bundle(target: Path) -> str:
    """The kind of file that `target` is if it is no bundle; empty if it may be one."""
    if target.is_dir() and not (target / MANIFEST_NAME).is_file():
        return "a directory but not a bundle"
    if target.is_file() and not zipfile.is_zipfile(target):
        return "a file but not a bundle"
    return ""


def _zipped(folder: Path, archive: Path) -> Path:
    with zipfile.ZipFile(archive, "x", zipfile.ZIP_DEFLATED) as out:
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            # a fixed time stamp: equal bundles make equal files
            info = zipfile.ZipInfo(path.relative_to(folder).as_posix(), (1980, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            out.writestr(info, path.read_bytes())
    return archive


def _cannot_write(target: Path, error: OSError) -> ExportError:
    why = {
        errno.ENOSPC: "the disk is full",
        errno.EDQUOT: "the disk quota is used up",
        errno.EACCES: "permission denied",
        errno.EPERM: "permission denied",
        errno.EROFS: "the file system is read-only",
        errno.ENOTDIR: "a parent of it is not a directory",
        errno.EEXIST: "a file of that name is in the way",
        errno.ENAMETOOLONG: "the name is too long",
    }.get(error.errno or 0, str(error))
    return ExportError(f"cannot write {target}: {why}; nothing was left behind")
