"""A verified bundle as a folder, and pictures as files, that can be copied to a device."""

import re
import shutil
from pathlib import Path

import cv2

from pocketdet.errors import BundleError, UsageError
from pocketdet.runtime.bundle import Bundle, hash_file
from pocketdet.runtime.bundle.archive import ArchiveSource
from pocketdet.runtime.bundle.files import FolderSource, read_limited
from pocketdet.runtime.bundle.manifest import MAX_MANIFEST_BYTES
from pocketdet.runtime.bundle.schema import MANIFEST_NAME
from pocketdet.runtime.images import read_image


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


def stage_picture(path: Path, folder: Path) -> Path:
    """Write a picture of any format as PNG, which every runner reads; returns its path.

    Raises `ImageError` if it cannot be read.
    """
    image = read_image(path)
    safe = re.sub(r"[^A-Za-z0-9._-]+", "-", path.stem)[:60].lstrip("-.") or "picture"
    staged = folder / "frames" / f"{safe}.png"
    staged.parent.mkdir(exist_ok=True)
    if staged.exists():
        raise UsageError(f"{path}: there is another picture named {path.stem}; give them different names")
    _, data = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    staged.write_bytes(data.tobytes())
    return staged
