"""Golden data of a bundle: one input image and the values of each stage, computed by PyTorch."""

import struct
import zlib
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from pocketdet.errors import BundleError, ImageError
from pocketdet.io import os_errors, parse_strict
from pocketdet.runtime.bundle.schema import Golden
from pocketdet.runtime.image_header import png_chunks
from pocketdet.runtime.images import read_image

IMAGE = "image"
MAX_STAGES_BYTES = 256 << 20
MAX_HEADER_BYTES = 1 << 20
MAX_STAGES = 1024
MAX_PIXELS = 1 << 24
MAX_DIMENSIONS = 8
_DTYPES = {"F32": 4, "F64": 8, "I32": 4, "I64": 8, "U8": 1, "BOOL": 1}
_FIELDS = {"dtype", "shape", "data_offsets"}
_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_OVERHEAD = 1024  # bytes, and 1% of the pixels' bytes: what chunks and stored blocks add
_RGB = b"\x08\x02\0\0\0"  # of IHDR: bits, colour type, compression, filter, interlacing


def write_golden(folder: Path, golden: Golden, stages: Mapping[str, NDArray[Any]]) -> None:
    """Write golden data losslessly: the image as PNG, the other stages as safetensors.

    Args:
        folder: folder of the bundle.
        golden: file names below `folder`.
        stages: arrays by stage name, with "image" (H, W, 3) uint8 RGB.

    Raises:
        OSError: if a file cannot be written.
    """
    others = {name: np.ascontiguousarray(array) for name, array in stages.items() if name != IMAGE}
    bgr = cv2.cvtColor(np.ascontiguousarray(stages[IMAGE]), cv2.COLOR_RGB2BGR)
    for name, data in ((golden.image, cv2.imencode(".png", bgr)[1].tobytes()), (golden.stages, save(others))):
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)


def read_golden(image: Path, stages: Path, label: str) -> dict[str, NDArray[Any]]:
    """Read the golden stages by name, including "image". Raises `BundleError` or `ImageError`."""
    return {IMAGE: _read_image(image, label), **read_stages(stages, label)}


def _read_image(path: Path, label: str) -> NDArray[np.uint8]:
    """Read a PNG of the form that `write_golden` writes. Decoders disagree about other forms."""
    data = path.read_bytes()
    if not data.startswith(_PNG) or data[12:16] != b"IHDR" or data[24:29] != _RGB:
        raise ImageError(f"{label}: the golden image is no PNG of 8-bit RGB pixels; export the bundle again")
    width, height = struct.unpack(">II", data[16:24])
    expected = height * (1 + 3 * width)
    if len(data) > expected + expected // 100 + _PNG_OVERHEAD:
        raise ImageError(
            f"{label}: the golden image is damaged: {len(data)} bytes for {width} x {height} pixels"
        )
    pixels = read_image(path, MAX_PIXELS)
    compressed = _image_data(data)
    if compressed is None:
        raise ImageError(f"{label}: the golden image is damaged: it holds more than its pixels")
    inflater = zlib.decompressobj()
    try:
        found = len(inflater.decompress(compressed, expected + 1))
    except zlib.error as error:
        raise ImageError(f"{label}: the golden image is damaged: {error}") from error
    if found != expected or not inflater.eof or inflater.unused_data:
        raise ImageError(f"{label}: the golden image is damaged: its data are not {expected} bytes long")
    return pixels


def _image_data(png: bytes) -> bytes | None:
    """Contents of the IDAT chunks; None if there are other chunks or trailing bytes."""
    parts: list[bytes] = []
    for name, start, length in png_chunks(png):
        if name == b"IEND":
            return b"".join(parts) if start + length + 4 == len(png) else None
        if name == b"IDAT":
            parts.append(png[start : start + length])
        elif name != b"IHDR":
            return None
    return None


def read_stages(path: Path, label: str) -> dict[str, NDArray[Any]]:
    """Read arrays by stage name from an untrusted safetensors file.

    Raises:
        BundleError: for a file that is too large or truncated, an invalid header, overlapping or missing
            bytes, or a type other than float32, float64, int32, int64, uint8 and bool.
    """
    with os_errors(BundleError, f"{label}: cannot be read"), path.open("rb") as stream:
        data = stream.read(MAX_STAGES_BYTES + 1)
    if len(data) > MAX_STAGES_BYTES:
        raise BundleError(f"{label}: expected at most {MAX_STAGES_BYTES} bytes of golden stages, found more")
    _check_header(_header(data, label), label)
    try:
        return dict(load(data))
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        reason = " ".join(str(error).split())[:300]  # truncated: it may quote a long name
        raise BundleError(f"{label}: not a readable safetensors file: {reason}") from error


def _header(data: bytes, label: str) -> dict[str, Any]:
    if len(data) < 8:
        raise BundleError(f"{label}: expected a safetensors file, found {len(data)} bytes")
    (length,) = struct.unpack("<Q", data[:8])
    if length > min(MAX_HEADER_BYTES, len(data) - 8):
        raise BundleError(
            f"{label}: a safetensors header of {length} bytes does not fit; the file is damaged"
        )
    try:
        header = parse_strict(data[8 : 8 + length])
    except (ValueError, RecursionError):
        raise BundleError(f"{label}: the safetensors header is not JSON; the file is damaged") from None
    if not isinstance(header, dict):
        raise BundleError(f"{label}: the safetensors header is not a JSON object; the file is damaged")
    header.pop("__metadata__", None)
    return header


def _check_header(header: dict[str, Any], label: str) -> None:
    if len(header) > MAX_STAGES:
        raise BundleError(f"{label}: expected at most {MAX_STAGES} golden stages, found {len(header)}")
    for name, entry in header.items():
        if not isinstance(entry, dict) or set(entry) != _FIELDS:
            raise BundleError(
                f"{label}: stage {name[:80]!r}: expected the fields {', '.join(sorted(_FIELDS))} alone"
            )
        dtype, shape, span = entry["dtype"], entry["shape"], entry["data_offsets"]
        if not isinstance(dtype, str) or dtype not in _DTYPES:
            raise BundleError(
                f"{label}: stage {name[:80]!r}: expected one of {', '.join(_DTYPES)}, found {dtype!r:.60}"
            )
        if not (_are_sizes(shape, MAX_DIMENSIONS) and _are_sizes(span, 2) and len(span) == 2):
            raise BundleError(
                f"{label}: stage {name[:80]!r}: {shape!r:.60} at {span!r:.60} is not a place in the file"
            )
        if span[1] - span[0] != prod(shape) * _DTYPES[dtype]:
            raise BundleError(
                f"{label}: stage {name[:80]!r}: {dtype} {tuple(shape)} is not {span[1] - span[0]} bytes"
            )


def _are_sizes(value: object, most: int) -> bool:
    return (
        isinstance(value, list)
        and len(value) <= most
        and all(type(n) is int and 0 <= n <= MAX_STAGES_BYTES for n in value)
    )
