"""Golden stages: written and read bit for bit, or refused with a sentence."""

import json
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pocketdet.errors import BundleError
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
        (safetensors({"a": 3}), "expected one of"),
        (safetensors({"a": {"dtype": "BF16", "shape": [1], "data_offsets": [0, 2]}}, b"12"), "found BF16"),
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
    ],
)
def test_bad_files(tmp_path: Path, data: bytes, sentence: str) -> None:
    path = tmp_path / "s.safetensors"
    path.write_bytes(data)
    with pytest.raises(BundleError, match=f"^golden: .*{sentence}"):
        read_stages(path, "golden")


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
