"""Write a bundle so that it is there whole or not at all.

Everything is written into a temporary directory beside the target, flushed, loaded back with every check a
stranger's bundle gets, and only then renamed. Ctrl-C, a full disk or a failed check leave nothing behind.
"""

import errno
import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pocketdet.errors import ExportError
from pocketdet.runtime.bundle import hash_file, load_bundle, manifest_to_json
from pocketdet.runtime.bundle.schema import MANIFEST_NAME, FileEntry, Manifest

SUFFIX = ".pocketdet"


@contextmanager
def staging_directory(target: Path) -> Iterator[Path]:
    """A private directory beside `target`, on the same file system, removed on the way out.

    Missing parents are made, and removed again if nothing came to stand in them.
    Raises `ExportError` if the place cannot be written or is full.
    """
    made = [folder for folder in (target.parent, *target.parent.parents) if not folder.exists()]
    scratch = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        scratch.chmod(0o755)  # mkdtemp makes it private; the bundle it becomes is not
        yield scratch
    except OSError as error:
        raise _cannot_write(target, error) from error
    finally:
        if scratch is not None:
            shutil.rmtree(scratch, ignore_errors=True)
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

    What stood there comes back if the move fails or is interrupted. Raises `ExportError` as `check_target`.
    """
    check_target(target, overwrite=overwrite)
    source = _zipped(scratch, target) if target.suffix == ".zip" else scratch
    retired = scratch.with_name(f"{scratch.name}.old")
    try:
        if os.path.lexists(target):
            target.rename(retired)
        source.rename(target)
    except BaseException:
        if os.path.lexists(retired) and not os.path.lexists(target):
            retired.rename(target)
        raise
    if retired.is_dir() and not retired.is_symlink():
        shutil.rmtree(retired, ignore_errors=True)  # the new bundle stands: no failure from here on
    else:
        retired.unlink(missing_ok=True)


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


def _zipped(scratch: Path, target: Path) -> Path:
    archive = scratch / target.name
    with zipfile.ZipFile(archive, "x", zipfile.ZIP_DEFLATED) as out:
        for path in sorted(p for p in scratch.rglob("*") if p.is_file() and p != archive):
            # a fixed time stamp makes the same bundle the same file
            info = zipfile.ZipInfo(path.relative_to(scratch).as_posix(), (1980, 1, 1, 0, 0, 0))
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
