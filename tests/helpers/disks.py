"""Folders that cannot be written, as fixtures: on a small disk, on a full one, on a read-only one.

They are file systems in memory, which only root can mount. Root may write into a folder whatever its mode is.
"""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one mebibyte."""
    with _mounted(tmp_path / "disk") as folder:
        yield folder


@pytest.fixture
def full_disk(small_disk: Path) -> Path:
    """A file system on which folders can be made, but no file can have content."""
    with contextlib.suppress(OSError), (small_disk / "filler").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    return small_disk


@pytest.fixture
def read_only_disk(small_disk: Path) -> Path:
    """A file system that is mounted read-only."""
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    return small_disk


@contextlib.contextmanager
def _mounted(folder: Path) -> Iterator[Path]:
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("no file system can be mounted: run the tests as root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)
