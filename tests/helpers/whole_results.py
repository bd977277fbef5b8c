"""What a command has written, checked file by file: each is whole, whatever became of the process."""

import csv
import io
import json
from pathlib import Path

import cv2
import numpy as np
import torch
from safetensors.numpy import load_file

from pocketdet.benchmarks.record import KIND
from pocketdet.benchmarks.record_io import read_record
from pocketdet.errors import PocketdetError
from pocketdet.export.write_bundle import SUFFIX
from pocketdet.runtime.bundle import load_bundle

JPEG_END, PNG_END = b"\xff\xd9", b"IEND\xaeB`\x82"


def final_files(folder: Path) -> list[Path]:
    """Every file and bundle under a final name: hidden ones are temporary."""
    found: list[Path] = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if path.name.startswith(".") or path.name == "tensorboard":  # event files may end anywhere
            continue
        is_bundle = path.name.endswith((SUFFIX, f"{SUFFIX}.zip"))
        found += [path] if is_bundle or path.is_file() else final_files(path)
    return found


def leftovers(folder: Path) -> list[Path]:
    """Temporary files and folders."""
    return sorted(path for path in folder.rglob(".*") if path.name not in (".", ".."))


def damaged(folder: Path) -> dict[Path, str]:
    """The final files that are not whole, and why."""
    found = {}
    for path in final_files(folder):
        reason = _damage(path)
        if reason:
            found[path] = reason
    return found


def _damage(path: Path) -> str | None:
    try:
        if path.name.endswith((SUFFIX, f"{SUFFIX}.zip")):
            load_bundle(path).close()
        elif path.suffix == ".json":
            document = json.loads(path.read_bytes())
            if isinstance(document, dict) and document.get("kind") == KIND:
                read_record(path)
        elif path.suffix == ".csv":
            return _damage_of_table(path.read_bytes().decode())
        elif path.suffix in (".jpg", ".png"):
            content = path.read_bytes()
            end = JPEG_END if path.suffix == ".jpg" else PNG_END
            whole = content.endswith(end) and cv2.imdecode(np.frombuffer(content, np.uint8), 1) is not None
            return None if whole else "the image cannot be decoded"
        elif path.suffix == ".safetensors":
            load_file(path)
        elif path.suffix == ".pt":
            torch.load(path, weights_only=True)
        elif path.stat().st_size == 0:
            return "empty"
    except (PocketdetError, OSError, ValueError, RuntimeError, EOFError) as error:
        return f"{type(error).__name__}: {error}"
    return None


def _damage_of_table(text: str) -> str | None:
    rows = list(csv.reader(io.StringIO(text)))
    if not text.endswith("\n") or not rows:
        return "the last line is not complete"
    return None if {len(row) for row in rows} == {len(rows[0])} else "a line has another number of cells"
