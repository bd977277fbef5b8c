"""A hostile copy of a sound bundle, made from one number: the same number makes the same copy again."""

import difflib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import golden_edits
import graph_edits
import manifest_edits
import numpy as np
import zip_edits
from corruptions import Corruption, any_file, append, flip_bytes, splice, swap_files, truncate
from tiny_bundle import list_files

_ANY_FILE: dict[str, tuple[Corruption, ...]] = {
    "bytes": (*(any_file(change) for change in (flip_bytes, truncate, splice, append)), swap_files),
}
_EDITS = {**graph_edits.EDITS, **manifest_edits.EDITS, **golden_edits.EDITS, **_ANY_FILE}
_KEPT = ("manifest values", "bytes")  # may leave no JSON, so that they are made once
ZIP = "zip"
# Graphs and weights, where native code is nearest, are changed twice as often.
KINDS = (*_EDITS, *manifest_edits.LAST, ZIP, *graph_edits.EDITS)


@dataclass(frozen=True)
class Copy:
    """`path` is a folder, or for `ZIP` a file; `sound` is what it was made of."""

    seed: int
    kind: str
    base: str
    sound: Path
    path: Path

    def changes(self) -> list[str]:
        """What differs from the sound bundle, a line each: for a person to read."""
        if self.kind == ZIP:
            return [f"a zip file of {self.path.stat().st_size} bytes"]
        names = {p.relative_to(root).as_posix() for root in (self.sound, self.path) for p in root.rglob("*")}
        return [
            line for name in sorted(names) for line in _difference(name, self.sound / name, self.path / name)
        ]


def make_copy(seed: int, bases: Mapping[str, Path], folder: Path) -> Copy:
    """Copy number `seed` as a new file or folder below `folder`. Sizes and hashes agree with the files."""
    kind = KINDS[seed % len(KINDS)]
    base = list(bases)[seed // len(KINDS) % len(bases)]
    rng = np.random.default_rng(seed)
    path = Path(shutil.copytree(bases[base], folder / f"{seed}"))
    for edit in _chosen(kind, rng):
        edit(path, rng)
    rehash(path)
    if kind in manifest_edits.LAST:
        edits = manifest_edits.LAST[kind]
        edits[rng.integers(len(edits))](path, rng)
    if kind == ZIP:
        path = _zipped(path, rng)
    return Copy(seed, kind, base, bases[base], path)


def rehash(folder: Path) -> None:
    """Make the list of files true again, if the manifest is JSON with such a list still."""
    path = folder / "manifest.json"
    try:
        document = json.loads(path.read_bytes())
    except ValueError:
        return
    if isinstance(document, dict) and "files" in document:
        document["files"] = list_files(folder)
        path.write_text(json.dumps(document))


def _chosen(kind: str, rng: np.random.Generator) -> list[Corruption]:
    """One to three edits of a kind."""
    edits = _EDITS.get(kind, ())
    count = int(rng.integers(1, 4)) if kind not in _KEPT else 1
    return [edits[rng.integers(len(edits))] for _ in range(count)] if edits else []


def _zipped(folder: Path, rng: np.random.Generator) -> Path:
    target = folder.with_suffix(".zip")
    zip_edits.zip_folder(folder, target, rng)
    data = bytearray(target.read_bytes())
    for _ in range(int(rng.integers(1, 4))):
        data = zip_edits.EDITS[rng.integers(len(zip_edits.EDITS))](data, rng)
    target.write_bytes(data)
    shutil.rmtree(folder)
    return target


def _difference(name: str, sound: Path, changed: Path) -> list[str]:
    if sound.is_dir() or changed.is_dir():
        return []
    before = sound.read_bytes() if sound.exists() else b""
    after = changed.read_bytes() if changed.exists() else b""
    if name == "manifest.json":
        before, after = _without_files(before), _without_files(after)
    if before == after:
        return []
    try:
        old, new = (text.decode().splitlines() for text in (before, after))
    except UnicodeDecodeError:
        pairs = enumerate(zip(before, after, strict=False))
        first = next((i for i, (a, b) in pairs if a != b), min(len(before), len(after)))
        found = after[first : first + 16].hex()
        return [f"{name}: {len(before)} -> {len(after)} bytes, from byte {first}: {found}"]
    changed_lines = [line for line in difflib.ndiff(old, new) if line[0] in "-+"]
    return [f"{name}: {line[:300]}" for line in changed_lines[:12]]


def _without_files(data: bytes) -> bytes:
    """A manifest as lines, its hashes left out; as it is if it is no JSON."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return data
    if isinstance(document, dict):
        document.pop("files", None)
    return json.dumps(document, indent=1).encode("utf-8", "surrogatepass")
