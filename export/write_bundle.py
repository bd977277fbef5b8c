"""Write a bundle so that it exists whole or not at all.

Everything is written into a temporary folder beside the target, loaded back with every check that an
untrusted bundle gets, flushed, and only then renamed. Ctrl-C, a full disk or a failed check leave nothing
behind; what a killed process leaves is removed by the next export into that folder.
"""

import errno
import os
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pocketdet.errors import ExportError
from pocketdet.io import exchange, rename_new, scratch_folder
from pocketdet.runtime.bundle import hash_file, load_bundle, manifest_to_json
from pocketdet.runtime.bundle.schema import MANIFEST_NAME, FileEntry, Manifest

SUFFIX = ".pocketdet"
_STAGED = "bundle"
_TAKEN = (errno.EEXIST, errno.ENOTEMPTY)


@contextmanager
def staging_directory(target: Path) -> Iterator[Path]:
    """A folder for the files of a bundle, on the file system of `target`, removed on the way out.

    Missing parents are made, and removed again if nothing came to stand in them.
    Raises `ExportError` if the place cannot be written or is full.
    """
    made = [folder for folder in (target.parent, *target.parent.parents) if not folder.exists()]
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with scratch_folder(target.parent) as scratch:
            (scratch / "probe").write_bytes(b"\0")  # a full disk is found now, not after minutes
            (scratch / _STAGED).mkdir()
            yield scratch / _STAGED
    except OSError as error:
        raise _cannot_write(target, error) from error
    finally:
        for folder in made:
            with suppress(OSError):
                folder.rmdir()


def seal(scratch: Path, make_manifest: Callable[[dict[str, FileEntry]], Manifest]) -> Manifest:
    """Hash every file in `scratch`, let `make_manifest` complete the manifest, write it, and load it all."""
    (scratch / MANIFEST_NAME).unlink(missing_ok=True)
    paths = sorted(p for p in scratch.rglob("*") if p.is_file())
    files = {p.relative_to(scratch).as_posix(): hash_file(p) for p in paths}
    manifest = make_manifest(files)
    (scratch / MANIFEST_NAME).write_text(manifest_to_json(manifest), encoding="utf-8")
    load_bundle(scratch).close()
    return manifest


def publish(scratch: Path, target: Path, *, overwrite: bool = False) -> None:
    """Move a sealed directory to `target`, as a directory or, if `target` ends in .zip, as one file.

    `scratch` comes from `staging_directory`. Several processes may publish under one name at once: without
    `overwrite` one of them succeeds, with it the last one. Raises `ExportError` as `check_target`.
    """
    check_target(target, overwrite=overwrite)
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
        check_target(target, overwrite=overwrite)
        try:
            return _replace(source, target)
        except OSError as error:  # another process has moved the target away, or another one there
            if error.errno not in (*_TAKEN, errno.ENOENT):
                raise


def _replace(source: Path, target: Path) -> None:
    """Put `source` in the place of `target`, which comes to lie beside `source`, in the temporary folder.

    If the move fails or is interrupted, the old target comes back. Raises `OSError`.
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
    """Have the system write a file to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def check_target(target: Path, *, overwrite: bool) -> None:
    """Raise `ExportError` if something is at `target` and `overwrite` is false, or it is not a bundle."""
    if not os.path.lexists(target):
        return
    if not overwrite:
        raise ExportError(f"{target} exists already: choose another --out or --name, or pass --overwrite")
    if target.is_dir() and not (target / MANIFEST_NAME).is_file():
        raise ExportError(f"{target} is a directory but not a bundle: it will not be overwritten")
    if target.is_file() and not zipfile.is_zipfile(target):
        raise ExportError(f"{target} is a file but not a bundle: it will not be overwritten")


def _zipped(folder: Path, archive: Path) -> Path:
    with zipfile.ZipFile(archive, "x", zipfile.ZIP_DEFLATED) as out:
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            # a fixed time stamp makes the same bundle the same file
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
