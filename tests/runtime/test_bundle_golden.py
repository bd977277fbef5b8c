"""Golden stages: written and read bit for bit, or refused with a sentence."""

import json
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pocketdet.errors import BundleError, ImageError
from pocketdet.runtime.bundle.golden import read_golden, read_stages, write_golden
from pocketdet.runtime.bundle.schema import Golden

GOLDEN = Golden(image="g/i.png", stages="g/s.safetensors")


def test_round_trip(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    stages = {
        "image": rng.integers(0, 256, (5, 7, 3), dtype=np.uint8),
        "sam": rng.normal(size=(4, 2, 2)).astype(np.float32),
        "strided": rng.normal(size=(4, 6)).astype(np.float32)[:, ::2],
        "labels": np.arange(3, dtype=np.int32),
        "empty": np.zeros((0, 4), np.float32),
        "nan": np.array([np.nan, np.inf], np.float32),
    }
    write_golden(tmp_path, GOLDEN, stages)
    back = read_golden(tmp_path / "g/i.png", tmp_path / "g/s.safetensors", "s")
    assert set(back) == set(stages)
    for name, array in stages.items():
        assert back[name].dtype == array.dtype
        np.testing.assert_array_equal(back[name], array)


def safetensors(header: object, payload: bytes = b"") -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + payload


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "expected a safetensors file, found 0 bytes"),
        (struct.pack("<Q", 2**63) + b"{}", "does not fit"),
        (struct.pack("<Q", 2) + b"{", "does not fit"),
        (struct.pack("<Q", 2) + b"{]", "not JSON"),
        (struct.pack("<Q", 5000) + b"[" * 5000, "not JSON"),
        (safetensors([]), "not a JSON object"),
        (safetensors({"a": 3}), "expected the fields"),
        (safetensors({"a": {"dtype": "U8", "shape": [0], "data_offsets": [0, 0], "b": 1}}), "fields"),
        (safetensors({"a": {"dtype": "BF16", "shape": [1], "data_offsets": [0, 2]}}, b"12"), "found 'BF16'"),
        (safetensors({"a": {"dtype": [], "shape": [1], "data_offsets": [0, 2]}}, b"12"), "found \\[\\]"),
        (safetensors({"a": {"dtype": "x" * 9000, "shape": [1], "data_offsets": [0, 2]}}), "found 'x{59}$"),
        (safetensors({"a": {"dtype": "U8", "shape": [0] * 9000, "data_offsets": [0, 0]}}), "not a place"),
        (struct.pack("<Q", 14) + b'{"a":0,"a": 0}', "not JSON"),
        (safetensors({"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}), "not a place"),
        (safetensors({"a": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 4]}}), "not a place"),
        (safetensors({"a": {"dtype": "F32", "shape": [1.0], "data_offsets": [0, 4]}}), "not a place"),
        (safetensors({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0]}}), "not a place"),
        (
            safetensors({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}, b"1234"),
            "is not 4 bytes",
        ),
        (
            safetensors({"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}}, b"12345678"),
            "not a readable",
        ),
        (
            safetensors({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}, b"12345"),
            "not a readable",
        ),
        (safetensors({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}), "not a readable"),
        (
            safetensors({"a\n" * 9000: {"dtype": "U8", "shape": [1], "data_offsets": [7, 8]}}),
            "not a readable",
        ),
    ],
)
def test_bad_files(tmp_path: Path, data: bytes, sentence: str) -> None:
    path = tmp_path / "s.safetensors"
    path.write_bytes(data)
    with pytest.raises(BundleError, match=f"^golden: .*{sentence}") as caught:
        read_stages(path, "golden")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


def chunk(name: bytes, content: bytes) -> bytes:
    crc = struct.pack(">I", zlib.crc32(name + content))
    return struct.pack(">I", len(content)) + name + content + crc


def png(rows: bytes, *, bits: int = 8, colour: int = 2, surplus: bytes = b"") -> bytes:
    """5 x 7 pixels."""
    header = struct.pack(">IIBBBBB", 7, 5, bits, colour, 0, 0, 0)
    data = zlib.compress(rows) + surplus
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"P6\n7 5\n255\n" + bytes(105), "no PNG"),
        (png(bytes(5 * 8), colour=0), "no PNG of 8-bit RGB"),
        (png(bytes(5 * 43), bits=16), "no PNG of 8-bit RGB"),
        (png(bytes(5 * 22 + 1)), "not 110 bytes"),
        (png(bytes(500_000)), "not 110 bytes"),
        (png(bytes(5_000_000)), "bytes for 7 x 5 pixels"),
        (png(bytes(5 * 22), surplus=b"x"), "not 110 bytes"),
        (png(bytes(5 * 22)) + b"x", "more than its pixels"),
        (png(bytes(5 * 22))[:33] + chunk(b"tEXt", b"a\0b") + png(bytes(5 * 22))[33:], "more than its pixels"),
    ],
)
def test_bad_images(tmp_path: Path, data: bytes, sentence: str) -> None:
    write_golden(tmp_path, GOLDEN, {"image": np.zeros((5, 7, 3), np.uint8)})
    (tmp_path / "g/i.png").write_bytes(data)
    with pytest.raises(ImageError, match=f"^golden: the golden image .*{sentence}"):
        read_golden(tmp_path / "g/i.png", tmp_path / "g/s.safetensors", "golden")


def test_a_plain_image(tmp_path: Path) -> None:
    write_golden(tmp_path, GOLDEN, {"image": np.zeros((5, 7, 3), np.uint8)})
    (tmp_path / "g/i.png").write_bytes(png(bytes(5 * 22)))
    image = read_golden(tmp_path / "g/i.png", tmp_path / "g/s.safetensors", "golden")["image"]
    assert image.shape == (5, 7, 3)


@settings(max_examples=150, deadline=None)
@given(position=st.integers(0, 200), value=st.integers(0, 255), cut=st.integers(0, 300))
def test_damage_is_a_typed_error_or_a_read(
    tmp_path_factory: pytest.TempPathFactory, position: int, value: int, cut: int
) -> None:
    entry = {"dtype": "F32", "shape": [4, 5], "data_offsets": [0, 80]}
    data = bytearray(safetensors({"a": entry}, bytes(80)))
    data[position % len(data)] = value
    path = tmp_path_factory.getbasetemp() / "damaged.safetensors"
    path.write_bytes(data[: len(data) - (cut % len(data) if cut < 100 else 0)])
    try:
        stages = read_stages(path, "golden")
    except BundleError as error:
        message = str(error)
    else:
        message = f"golden: {len(stages)} stage"
    assert message.startswith("golden: ")
