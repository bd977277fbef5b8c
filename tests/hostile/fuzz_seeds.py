"""Seed corpora and dictionaries for the fuzzers, made of the small bundles and a few hostile copies of each.

python tests/hostile/fuzz_seeds.py FOLDER
writes FOLDER/{manifest,param,golden,image,archive}/ and FOLDER/*.dict; a seed of param is the text, a zero
byte and the weights.
"""

import json
import re
import sys
import tempfile
from itertools import product
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests" / "helpers")]

import cv2  # noqa: E402
import numpy as np  # noqa: E402
from bases import make_bases  # noqa: E402
from copies import ZIP, make_copy  # noqa: E402
from zip_edits import zip_folder  # noqa: E402

MOST_BYTES = 100_000
PATTERNS = {
    "manifest": "manifest.json",
    "param": "*.param",
    "golden": "golden/*.safetensors",
    "image": "golden/image.png",
}
NUMBERS = (
    "0",
    "-1",
    "1e6",
    "1e400",
    "0.5",
    "null",
    "true",
    "2147483647",
    "4294967296",
    "NaN",
    "-233",
    "-23300=1,0",
)


def write_seeds(folder: Path, copies: int = 300) -> None:
    """Write them all; `copies` hostile ones are added to the sound bundles' files."""
    with tempfile.TemporaryDirectory() as work:
        bases = make_bases(Path(work))
        for target in (*PATTERNS, "archive"):
            (folder / target).mkdir(parents=True, exist_ok=True)
        for name, base in bases.items():
            _collect(base, folder, name)
            zip_folder(base, folder / "archive" / f"{name}.zip", np.random.default_rng(0))
        for seed in range(copies):
            copy = make_copy(seed, bases, Path(work))
            if copy.kind == ZIP:
                copy.path.replace(folder / "archive" / f"{seed}.zip")
            else:
                _collect(copy.path, folder, str(seed))
        _write_dictionaries(bases, folder)
    (folder / "image" / "sound.ppm").write_bytes(b"P6\n# comment\n4 3\n255\n" + bytes(36))
    _write_jpegs(folder / "image")


def _collect(bundle: Path, folder: Path, name: str) -> None:
    for target, pattern in PATTERNS.items():
        for i, path in enumerate(sorted(bundle.glob(pattern))):
            if path.is_file() and path.stat().st_size < MOST_BYTES:
                data, weights = path.read_bytes(), path.with_suffix(".bin")
                if target == "param" and weights.is_file():
                    data += b"\0" + weights.read_bytes()
                (folder / target / f"{name}-{i}").write_bytes(data)


def _write_jpegs(folder: Path) -> None:
    """Baseline and progressive, grey and colour of each subsampling, with restarts, with an orientation."""
    image = np.random.default_rng(0).integers(0, 256, (24, 40, 3), np.uint8)
    samplings = [
        getattr(cv2, f"IMWRITE_JPEG_SAMPLING_FACTOR_{s}") for s in ("411", "420", "422", "440", "444")
    ]
    for i, (sampling, progressive) in enumerate(product(samplings, (0, 1))):
        words = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling, cv2.IMWRITE_JPEG_PROGRESSIVE, progressive]
        words += [cv2.IMWRITE_JPEG_RST_INTERVAL, i % 3]
        data = cv2.imencode(".jpg", image if i % 4 else image[..., 0], words)[1].tobytes()
        exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0" + bytes((i % 9, 0, 0, 0)) + bytes(4)
        segment = b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif
        (folder / f"{i}.jpg").write_bytes(data[:2] + segment + data[2:])


def _write_dictionaries(bases: dict[str, Path], folder: Path) -> None:
    words: set[str] = set()
    layers: set[str] = set()
    for base in bases.values():
        words |= _words(json.loads((base / "manifest.json").read_text()))
        for param in base.glob("*.param"):
            layers |= set(re.findall(r"[^ \n]+", param.read_text()))
    stages = {"F32", "F64", "I32", "I64", "U8", "BOOL", "dtype", "shape", "data_offsets", "__metadata__"}
    chunks = {"IHDR", "IDAT", "IEND", "PLTE", "tRNS", "P6", "Exif", "JFIF", "Adobe"}
    for target, found in (("manifest", words), ("param", layers), ("golden", stages), ("image", chunks)):
        lines = [
            json.dumps(word) for word in sorted(found | set(NUMBERS)) if word.isascii() and word.isprintable()
        ]
        (folder / f"{target}.dict").write_text("\n".join(lines) + "\n")


def _words(value: Any) -> set[str]:
    if isinstance(value, dict):
        return {str(key) for key in value} | set[str]().union(*map(_words, value.values()))
    if isinstance(value, list):
        return set[str]().union(*map(_words, value))
    return {value} if isinstance(value, str) else set()


if __name__ == "__main__":
    write_seeds(Path(sys.argv[1]))
