"""A verified bundle as a folder that can be copied to a device."""

import shutil
from pathlib import Path

from pocketdet.errors import BundleError
from pocketdet.runtime.bundle import Bundle, hash_file
from pocketdet.runtime.bundle.archive import ArchiveSource
from pocketdet.runtime.bundle.files import FolderSource, read_limited
from pocketdet.runtime.bundle.manifest import MAX_MANIFEST_BYTES
from pocketdet.runtime.bundle.schema import MANIFEST_NAME


def stage_bundle(bundle: Bundle, folder: Path) -> Path:
    """Write the bundle into a new folder `folder`/bundle-DIGEST.pocketdet, byte for byte; returns its path.

    Raises `BundleError` if its manifest has changed since it was loaded.
    """
    staged = folder / f"bundle-{bundle.digest[:12]}.pocketdet"
    staged.mkdir(parents=True)
    for name in bundle.manifest.files:
        copy = staged / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(bundle.path(name), copy)
    source = FolderSource(bundle.source) if bundle.source.is_dir() else ArchiveSource(bundle.source)
    try:
        data = read_limited(source, MANIFEST_NAME, MAX_MANIFEST_BYTES, str(bundle.source))
    finally:
        source.close()
    (staged / MANIFEST_NAME).write_bytes(data)
    if hash_file(staged / MANIFEST_NAME).sha256 != bundle.digest:
        raise BundleError(f"{bundle.source}: its manifest changed while it was read")
    return staged
