"""JPEG files in C++: the pixels that Python's decoder gives, and a sentence for what cannot be decoded."""

import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
from c_api import IMAGE, CallError, Library
from hypothesis import given, settings
from hypothesis import strategies as st
from native_runner import Runner, by_python
from numpy.typing import NDArray
from same_detections import difference, found_in

from pocketdet.runtime.images import read_image

SAMPLINGS = ("411", "420", "422", "440", "444")


@pytest.fixture(scope="module")
def library(native_build: Path) -> Library:
    return Library(native_build / "libpocketdet.so")


def noise(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    coarse = np.random.default_rng(seed).integers(0, 256, (9, 9, 3), np.uint8)
    return cv2.resize(coarse, (width, height))


def jpeg(image: NDArray[np.uint8], **settings: int) -> bytes:
    """Settings are OpenCV's: quality, progressive, rst_interval, sampling_factor."""
    words: list[int] = []
    for name, value in settings.items():
        words += [getattr(cv2, f"IMWRITE_JPEG_{name.upper()}"), value]
    return cv2.imencode(".jpg", image, words)[1].tobytes()


def with_exif(data: bytes, orientation: int, order: str = "<", before: bytes = b"") -> bytes:
    """A JPEG with an EXIF segment of one tag, the orientation."""
    mark = {"<": b"II", ">": b"MM"}[order]
    exif = b"Exif\0\0" + mark + struct.pack(f"{order}HIHHHIHHI", 42, 8, 1, 0x112, 3, 1, orientation, 0, 0)
    return data[:2] + before + segment(exif) + data[2:]


def segment(content: bytes) -> bytes:
    return b"\xff\xe1" + struct.pack(">H", len(content) + 2) + content


def assert_same_pixels(library: Library, path: Path) -> None:
    np.testing.assert_array_equal(library.read_image(path), read_image(path))


@pytest.mark.parametrize("progressive", [0, 1])
@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_pixels_are_those_of_python(
    library: Library, tmp_path: Path, sampling: str, progressive: int
) -> None:
    path = tmp_path / "image.jpg"
    factor = getattr(cv2, f"IMWRITE_JPEG_SAMPLING_FACTOR_{sampling}")
    shared = {"progressive": progressive, "sampling_factor": factor}
    for seed, (height, width) in enumerate([(64, 96), (61, 83), (17, 33), (200, 9)]):
        for quality in (20, 75, 100):
            image = noise(height, width, seed)
            path.write_bytes(jpeg(image, quality=quality, rst_interval=seed, **shared))
            assert_same_pixels(library, path)


def test_grey_images(library: Library, tmp_path: Path) -> None:
    (tmp_path / "grey.jpg").write_bytes(jpeg(noise(40, 50)[..., 0]))
    assert_same_pixels(library, tmp_path / "grey.jpg")


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("orientation", range(10))
def test_the_orientation_is_applied_as_python_applies_it(
    library: Library, tmp_path: Path, orientation: int, order: str
) -> None:
    (tmp_path / "turned.jpg").write_bytes(with_exif(jpeg(noise(30, 50)), orientation, order))
    assert_same_pixels(library, tmp_path / "turned.jpg")


def test_segments_before_the_orientation(library: Library, tmp_path: Path) -> None:
    data, path = jpeg(noise(30, 50)), tmp_path / "turned.jpg"
    other = segment(b"http://ns.adobe.com/xap/1.0/\0<x/>")
    cut = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01"
    for file in (
        with_exif(data, 6, before=other),
        with_exif(data, 6, before=b"\xff"),
        with_exif(with_exif(data, 3), 6),
        data[:2] + segment(cut) + data[2:],
        data[:2] + segment(b"Exif\0\0XX" + bytes(20)) + data[2:],
        data[:2] + segment(b"Exif\0\0II*\0\xff\xff\xff\xff" + bytes(20)) + data[2:],
    ):
        path.write_bytes(file)
        assert_same_pixels(library, path)


def test_detections_in_a_jpeg_are_those_of_python(
    runner: Runner, small_bundle: Path, sample_images: list[NDArray[np.uint8]], tmp_path: Path
) -> None:
    paths = [tmp_path / f"{i}.jpg" for i in range(len(sample_images))]
    for i, (path, image) in enumerate(zip(paths, sample_images, strict=True)):
        path.write_bytes(with_exif(jpeg(image[..., ::-1]), 1 + i % 8))
    document = runner.json("detect", small_bundle, *paths)
    python = by_python(small_bundle, list(map(read_image, paths)))
    differs = difference(python, found_in(document), pixels=1e-3, score=1e-5)
    assert differs.lost == 0, differs
    assert differs.total > 50
    assert [(i["height"], i["width"]) for i in document["images"]] == [read_image(p).shape[:2] for p in paths]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data[: len(data) // 2], "truncated input"),
        (lambda data: data[:-2], "truncated input"),
        (lambda data: data[:20], "truncated input"),
        (lambda data: data.replace(b"\xff\xc0\0\x11\x08", b"\xff\xc0\0\x11\x0c"), "unsupported precision"),
        (lambda data: data.replace(b"\xff\xc0", b"\xff\xc9"), "arithmetic coding"),
        (lambda data: data.replace(b"\xff\xc0", b"\xff\xc3"), "lossless coding"),
        (lambda data: resized(data, 16_385, 16_384), "found 16385 x 16384; scale it down first"),
        (lambda data: resized(data, 0, 8), "cannot be decoded"),
    ],
)
def test_what_cannot_be_decoded_is_refused(
    runner: Runner, small_bundle: Path, tmp_path: Path, change: object, message: str
) -> None:
    assert callable(change)
    path = tmp_path / "bad.jpg"
    path.write_bytes(change(jpeg(noise(64, 96))))
    said = runner.error("detect", small_bundle, path)
    assert said.startswith(str(path))
    assert message in said


def resized(data: bytes, width: int, height: int) -> bytes:
    """The file with other sides in its frame header."""
    at = data.index(b"\xff\xc0") + 5
    return data[:at] + struct.pack(">HH", height, width) + data[at + 4 :]


@settings(deadline=None)
@given(
    changes=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=8),
    cut=st.integers(0, 3000),
)
def test_damaged_files_end_in_pixels_or_a_sentence(
    library: Library, tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, int]], cut: int
) -> None:
    data = bytearray(with_exif(jpeg(noise(40, 56), progressive=cut % 2), 1 + cut % 8))
    for at, value in changes:
        data[at % len(data)] = value
    path = tmp_path_factory.getbasetemp() / "damaged.jpg"
    path.write_bytes(data[: len(data) - cut] if cut < 300 else data)
    try:
        assert library.read_image(path).ndim == 3
    except CallError as error:
        assert error.status == IMAGE
        assert str(error).startswith(str(path))
