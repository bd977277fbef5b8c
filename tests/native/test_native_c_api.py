"""The C API through ctypes: the detections of the Python runtime, whatever the layout of the pixels."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from c_api import BUNDLE, GRAPH, IMAGE, USAGE, CallError, Library
from native_runner import by_python, raw_pixels
from numpy.typing import NDArray
from same_detections import PlainDetections, difference

import pocketdet
from pocketdet.runtime.bundle import load_bundle
from pocketdet.runtime.detector import Detector


@pytest.fixture(scope="module")
def library(native_build: Path) -> Library:
    return Library(native_build / "libpocketdet.so")


@pytest.mark.parametrize(
    ("raw", "options"),
    [
        ({}, {}),
        ({"score_threshold": 0.3}, {"score_threshold": 0.3}),
        ({"nms": 0, "nms_iou": 0.3}, {"nms": "hard", "nms_iou": 0.3}),
        ({"nms": 1}, {"nms": "linear"}),
        ({"rois": 7, "max_detections": 3}, {"rois": 7, "max_detections": 3}),
        ({"precision": 2}, {"precision": "fp16"}),
    ],
    ids=lambda value: "-".join(value) or "defaults",
)
def test_detections_are_those_of_python(
    library: Library,
    small_bundle: Path,
    sample_images: list[NDArray[np.uint8]],
    raw: dict[str, Any],
    options: dict[str, Any],
) -> None:
    detector = library.open(small_bundle, **raw)
    found = [detector.detect(image, image.shape[1], image.shape[0]) for image in sample_images]
    differs = difference(by_python(small_bundle, sample_images, **options), found, pixels=1e-3, score=1e-5)
    assert differs.lost == 0, differs
    assert differs.total > 0


@pytest.mark.parametrize("gap", [0, 5])
@pytest.mark.parametrize("layout", ["rgb", "bgr", "rgba", "bgra"])
def test_layouts_of_pixels(
    library: Library, small_bundle: Path, sample_images: list[NDArray[np.uint8]], layout: str, gap: int
) -> None:
    image = sample_images[0]
    height, width, _ = image.shape
    detector = library.open(small_bundle)
    expected = detector.detect(image, width, height)
    rows = np.frombuffer(raw_pixels(image, layout), np.uint8).reshape(height, -1)
    padded = np.pad(rows, ((0, 0), (0, gap)), constant_values=255)
    found = detector.detect(padded, width, height, padded.shape[1], layout)
    assert len(expected.scores) > 0
    np.testing.assert_array_equal(found.boxes, expected.boxes)
    np.testing.assert_array_equal(found.scores, expected.scores)


def test_a_detector_describes_its_bundle(
    library: Library, small_bundle: Path, sample_images: list[NDArray[np.uint8]]
) -> None:
    detector = library.open(small_bundle)
    with load_bundle(small_bundle) as bundle:
        assert detector.text("detector_name") == bundle.manifest.name
        assert detector.text("detector_digest") == bundle.digest
        assert detector.class_names() == list(bundle.manifest.class_names)
        width, height = (library[f"detector_input_{side}"](detector.detector) for side in ("width", "height"))
        assert (width, height) == (bundle.manifest.input.width, bundle.manifest.input.height)
        stages = Detector(bundle, engine="ncnn").detect(sample_images[0])
    assert detector.stages() == tuple(stages.milliseconds)
    assert detector.text("class_name", 3) is None
    assert detector.text("class_name", -1) is None
    assert detector.text("stage_name", 99) is None
    assert library["version"]().decode() == pocketdet.__version__
    height, width, _ = sample_images[0].shape
    _, milliseconds, rois = detector.timed(sample_images[0], width, height, 0, 0)
    assert all(value >= 0 for value in milliseconds)
    assert rois > 0


def test_bundles_are_refused_with_a_status(library: Library, tiny_bundle: Path, rehash: Any) -> None:
    def refusal(**options: Any) -> CallError:
        with pytest.raises(CallError) as caught:
            library.open(tiny_bundle, **options)
        assert "\n" not in str(caught.value)
        return caught.value

    assert refusal(digest=b"0" * 64).status == BUNDLE
    assert refusal(nms=7).status == USAGE
    weights = tiny_bundle / "features.ncnn.bin"
    weights.write_bytes(weights.read_bytes()[:-4])
    assert refusal().status == BUNDLE
    rehash(tiny_bundle)
    assert refusal().status == GRAPH


@pytest.mark.parametrize(
    ("width", "height", "stride", "layout", "status", "message"),
    [
        (0, 4, 0, 0, IMAGE, "found 0 x 4"),
        (-1, 4, 0, 0, IMAGE, "found -1 x 4"),
        (65_536, 1, 0, 0, IMAGE, "found 65536 x 1"),
        (16_385, 16_384, 0, 0, IMAGE, "found 16385 x 16384"),
        (4, 4, 11, 0, USAGE, "stride=11: expected at least 12 bytes"),
        (4, 4, 15, 2, USAGE, "stride=15: expected at least 16 bytes"),
        (4, 4, 2**64 - 1, 0, USAGE, "stride=18446744073709551615"),
        (4, 4, 0, 4, USAGE, "format=4: expected a constant of pocketdet.h"),
        (4, 4, 0, -1, USAGE, "format=-1"),
    ],
)
def test_images_are_refused_with_a_status(
    library: Library,
    tiny_bundle: Path,
    width: int,
    height: int,
    stride: int,
    layout: int,
    status: int,
    message: str,
) -> None:
    detector = library.open(tiny_bundle)
    with pytest.raises(CallError, match=message) as caught:
        detector.timed(np.zeros((4, 4, 4), np.uint8), width, height, stride, layout)
    assert caught.value.status == status


def test_one_detector_serves_several_threads(
    library: Library, small_bundle: Path, sample_images: list[NDArray[np.uint8]]
) -> None:
    detector = library.open(small_bundle)
    images = [*sample_images, *sample_images]

    def detect(image: NDArray[np.uint8]) -> PlainDetections:
        return detector.detect(image, image.shape[1], image.shape[0])

    alone = list(map(detect, images))
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(detect, images))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one.boxes, other.boxes)
