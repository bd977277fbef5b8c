"""Ways to damage a bundle, each a function of a folder and a random generator."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Corruption = Callable[[Path, np.random.Generator], None]

NUMBERS = (
    "0", "1", "-1", "2", "3", "7", "8", "16", "-233", "255", "256", "65536", "1000000", "2147483647",
    "-2147483648", "4294967296", "99999999999999999999", "0.5", "-0.0", "1e30", "nan", "inf", "x", "",
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 3, 4096, 4097, 10**9, 10**30, 0.5, -0.5, 1e-300, 1e300, "", "a", "hard",
    "BGR", "../x", "x" * 300, [], [1], [1.0, 2.0], [[1.0, 1.0]], [[1e-3, 1e6]] * 256, {}, {"a": 1},
)  # fmt: skip


def pick_file(folder: Path, rng: np.random.Generator, pattern: str = "*") -> Path:
    files = sorted(p for p in folder.rglob(pattern) if p.is_file())
    return files[rng.integers(len(files))]


def flip_bytes(path: Path, rng: np.random.Generator) -> None:
    data = bytearray(path.read_bytes())
    for _ in range(int(rng.integers(1, 9))):
        if data:
            data[rng.integers(len(data))] ^= 1 << int(rng.integers(8))
    path.write_bytes(data)


def truncate(path: Path, rng: np.random.Generator) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: rng.integers(len(data) + 1)])


def splice(path: Path, rng: np.random.Generator) -> None:
    """Repeat, drop or zero a stretch of bytes."""
    data = path.read_bytes()
    first, last = sorted(int(i) for i in rng.integers(0, len(data) + 1, 2))
    middle = (data[first:last] * 2, b"", bytes(last - first))[rng.integers(3)]
    path.write_bytes(data[:first] + middle + data[last:])


def append(path: Path, rng: np.random.Generator) -> None:
    with path.open("ab") as stream:
        stream.write(rng.bytes(int(rng.integers(1, 50))))


def swap_files(folder: Path, rng: np.random.Generator) -> None:
    one, other = pick_file(folder, rng), pick_file(folder, rng)
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)


def delete(folder: Path, rng: np.random.Generator) -> None:
    pick_file(folder, rng).unlink()


def replace_by_folder(folder: Path, rng: np.random.Generator) -> None:
    path = pick_file(folder, rng)
    path.unlink()
    path.mkdir()


def replace_by_link(folder: Path, rng: np.random.Generator) -> None:
    path = pick_file(folder, rng)
    shutil.move(path, folder.parent / "outside")
    path.symlink_to(folder.parent / "outside")


def any_file(change: Corruption) -> Corruption:
    return lambda folder, rng: change(pick_file(folder, rng), rng)


def files_like(pattern: str, change: Corruption) -> Corruption:
    return lambda folder, rng: change(pick_file(folder, rng, pattern), rng)


def edit_param(folder: Path, rng: np.random.Generator) -> None:
    """Change words, parameters or lines of a .param and keep it looking like one."""
    path = pick_file(folder, rng, "*.param")
    lines = path.read_text().splitlines()
    for _ in range(int(rng.integers(1, 4))):
        row = int(rng.integers(1, len(lines)))
        words = lines[row].split()
        other = lines[int(rng.integers(2, len(lines)))].split()
        kind = rng.integers(8)
        if kind == 0:
            del lines[row]
        elif kind == 1:
            lines.insert(row, lines[row])
        elif kind == 2:
            swap = int(rng.integers(2, len(lines)))
            lines[row], lines[swap] = lines[swap], lines[row]
        elif kind == 3 and words:
            words[rng.integers(len(words))] = other[rng.integers(len(other))]
        elif kind == 4 and words and len(other) > 1:
            words[0] = other[0]
        else:
            edit_number(words, rng)
        if kind > 2 and words:
            lines[row] = " ".join(words)
    if rng.random() < 0.7:
        repair_counts(lines)
    path.write_text("\n".join(lines) + "\n")


def edit_number(words: list[str], rng: np.random.Generator) -> None:
    places = [i for i, word in enumerate(words) if "=" in word] or list(range(len(words)))
    if not places:
        return
    place = places[rng.integers(len(places))]
    key, equals, value = words[place].rpartition("=")
    number = NUMBERS[rng.integers(len(NUMBERS))]
    choice = rng.integers(4)
    if choice == 0 and equals:
        words[place] = f"{number}={value}"
    elif choice == 1 and equals:
        words.append(f"{rng.integers(32)}={number}")
    else:
        words[place] = f"{key}{equals}{number}"


def repair_counts(lines: list[str]) -> None:
    """Make the header agree with the lines again, so that more than the header is tested."""
    blobs = set()
    for line in lines[2:]:
        words = line.split()
        if len(words) >= 4 and words[2].isascii() and words[3].isascii() and words[2].isdigit():
            count = int(words[2][:4]) + (int(words[3][:4]) if words[3].isdigit() else 0)
            blobs.update(words[4 : 4 + count])
    lines[1:2] = [f"{len(lines) - 2} {len(blobs)}"]


def edit_manifest(folder: Path, rng: np.random.Generator) -> None:
    """Replace, remove or double values anywhere in the manifest but in its hashes."""
    path = folder / "manifest.json"
    document = json.loads(path.read_text())
    for _ in range(int(rng.integers(1, 3))):
        place: Any = document
        while True:
            keys = [k for k in place if k != "files"] if isinstance(place, dict) else list(range(len(place)))
            key = keys[rng.integers(len(keys))]
            if not isinstance(place[key], dict | list) or not place[key] or rng.random() < 0.2:
                break
            place = place[key]
        if rng.random() < 0.1:
            del place[key]
        elif isinstance(place[key], int | float) and rng.random() < 0.5:
            place[key] = type(place[key])(place[key] * float(rng.choice([-1, 0, 0.5, 2, 3, 100])))
        else:
            place[key] = VALUES[rng.integers(len(VALUES))]
    path.write_text(json.dumps(document))
