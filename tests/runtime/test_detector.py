"""`Detector`: what comes out, from which images, from how many threads, and when it refuses."""

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from near_ties import unexplained_differences
from numpy.typing import NDArray

from pocketdet.errors import BundleError, EngineError, ImageError, UsageError
from pocketdet.runtime.bundle import Bundle, load_bundle
from pocketdet.runtime.detector import Detector
from pocketdet.runtime.engines import ncnn_engine
from pocketdet.runtime.options import DetectorOptions, EngineName
from pocketdet.runtime.pipeline import TWO_STAGE_STAGES as STAGES
from pocketdet.runtime.pipeline import Boxes

Images = list[NDArray[np.uint8]]


@pytest.fixture(scope="module")
def detector(small_bundle: Path) -> Detector:
    return Detector(small_bundle, engine="ncnn")


def without_answers(graph: str, value: float) -> Callable[..., dict[str, NDArray[np.float32]]]:
    """`NcnnEngine.run` whose outputs of one graph all have one value."""
    run = ncnn_engine.NcnnEngine.run

    def replaced(self: ncnn_engine.NcnnEngine, name: Any, inputs: Any) -> dict[str, NDArray[np.float32]]:
        found = run(self, name, inputs)
        return {role: np.full_like(v, value) for role, v in found.items()} if name == graph else found

    return replaced


def test_both_engines_find_the_same(small_bundle: Path, images: Images) -> None:
    total = 0
    with Detector(small_bundle, engine="ncnn") as ncnn, Detector(small_bundle, engine="onnxruntime") as onnx:
        for image in images:
            ours, theirs = ncnn.detect(image), onnx.detect(image)
            reference = {"boxes": theirs.boxes, "scores": theirs.scores, "labels": theirs.labels}
            found = Boxes(ours.boxes, ours.scores, ours.labels)
            assert unexplained_differences(reference, found, ncnn, image) == []
            total += len(ours)
    assert total > 10


def test_a_detector_says_what_it_is(detector: Detector) -> None:
    assert detector.class_names == ("bolt", "nut", "washer")
    said = "<Detector small: thundernet-snet49, 64x96 input, 3 classes, ncnn>"
    assert repr(detector) == said


def test_fields_are_as_documented(detector: Detector, images: Images) -> None:
    for image in images:
        found = detector.detect(image)
        height, width = image.shape[:2]
        assert found.boxes.shape == (len(found), 4)
        assert found.scores.shape == found.labels.shape == (len(found),)
        assert (found.boxes.dtype, found.scores.dtype, found.labels.dtype) == ("f4", "f4", "i4")
        assert np.all(np.diff(found.scores) <= 0)
        assert np.all((found.scores >= 0) & (found.scores <= 1))
        assert np.all(found.boxes[:, :2] <= found.boxes[:, 2:])
        assert np.all((found.boxes >= 0) & (found.boxes <= [width, height, width, height]))
        assert found.names == tuple(("bolt", "nut", "washer")[i] for i in found.labels)
        assert tuple(found.milliseconds) == STAGES
        assert found.total_milliseconds == sum(found.milliseconds.values()) > 0


def test_grey_rgba_and_16_bit_become_rgb(detector: Detector, images: Images) -> None:
    image = images[0]
    expected = detector.detect(image)
    alpha = np.random.default_rng(0).integers(0, 256, (*image.shape[:2], 1), np.uint8)
    grey = image[..., 0]
    assert len(expected) > 0
    assert detector.detect(np.concatenate([image, alpha], axis=2)) == expected
    assert detector.detect(image.astype(np.uint16) * 257) == expected
    as_three = detector.detect(np.stack([grey] * 3, axis=2))
    assert detector.detect(grey) == as_three
    assert detector.detect(grey[..., None]) == as_three


def test_strides_do_not_matter(detector: Detector, images: Images) -> None:
    image = images[0]
    views = [
        image[::-1],
        image[:, ::-1],
        image[::2, 1::3],
        np.asfortranarray(image),
        image[..., ::-1],
    ]
    for view in views:
        assert detector.detect(view) == detector.detect(view.copy(order="C"))
    frozen = image.copy()
    frozen.flags.writeable = False
    assert detector.detect(frozen) == detector.detect(image)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((8, 8, 3), np.float32),
        np.zeros((8, 8, 3), np.int32),
        np.zeros((8, 8, 3), bool),
        np.zeros((0, 8, 3), np.uint8),
        np.zeros((8, 0, 3), np.uint8),
        np.zeros((1, 8, 8, 3), np.uint8),
        np.zeros((3, 8, 8), np.uint8),
        np.zeros((8, 8, 2), np.uint8),
        np.zeros(8, np.uint8),
        np.zeros((), np.uint8),
        [[1, 2, 3]],
        None,
        "photo.jpg",
    ],
)
def test_what_is_no_image_is_refused(detector: Detector, image: Any) -> None:
    with pytest.raises(ImageError, match="expected"):
        detector.detect(image)


def test_one_pixel_is_an_image(detector: Detector) -> None:
    found = detector.detect(np.full((1, 1, 3), 200, np.uint8))
    assert np.all((found.boxes >= 0) & (found.boxes <= 1))


def test_eight_threads_on_one_detector(detector: Detector, images: Images) -> None:
    expected = [detector.detect(p) for p in images]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(detector.detect, images * 8))
    assert found == expected * 8


@pytest.mark.parametrize("engine", ["ncnn", "onnxruntime"])
def test_two_detectors_at_once(small_bundle: Path, detector: Detector, images: Images, engine: Any) -> None:
    with Detector(small_bundle, DetectorOptions(engine)) as one, ThreadPoolExecutor(8) as pool:
        alone = [(one.detect(p), detector.detect(p)) for p in images]
        together = [(pool.submit(one.detect, p), pool.submit(detector.detect, p)) for p in images * 4]
        for i, (first, second) in enumerate(together):
            assert first.result() == alone[i % len(images)][0]
            assert second.result() == alone[i % len(images)][1]


@pytest.mark.parametrize(
    ("graph", "value"), [("features", np.nan), ("features", np.inf), ("head", np.nan), ("head", -np.inf)]
)
def test_networks_that_answer_nonsense_find_nothing(
    small_bundle: Path, images: Images, monkeypatch: pytest.MonkeyPatch, graph: str, value: float
) -> None:
    monkeypatch.setattr(ncnn_engine.NcnnEngine, "run", without_answers(graph, value))
    with Detector(small_bundle, engine="ncnn") as detector:
        found = detector.detect(images[0])
    assert len(found) == 0
    assert found.boxes.shape == (0, 4)
    assert found.names == ()
    assert tuple(found.milliseconds) == STAGES


def test_no_roi_gives_an_empty_head(small_bundle: Path) -> None:
    for engine in ("ncnn", "onnxruntime"):
        with Detector(small_bundle, DetectorOptions(engine)) as detector:  # type: ignore[arg-type]
            assert detector.pipeline.head(np.zeros((0, 245), np.float32)).shape == (0, 8)


def test_nothing_is_above_a_threshold_of_one(small_bundle: Path, images: Images) -> None:
    with Detector(small_bundle, DetectorOptions(score_threshold=1), engine="ncnn") as detector:
        assert len(detector.detect(images[0])) == 0


def test_a_closed_detector_says_so(small_bundle: Path, images: Images) -> None:
    with Detector(small_bundle, engine="ncnn") as detector:
        detector.detect(images[0])
    with pytest.raises(UsageError, match="the detector is closed"):
        detector.detect(images[0])
    detector.close()


def test_a_bundle_given_stays_open(small_bundle: Path, images: Images) -> None:
    with load_bundle(small_bundle) as bundle:
        with Detector(bundle, engine="ncnn") as detector:
            detector.detect(images[0])
        assert bundle.golden()["image"].ndim == 3
    with pytest.raises(BundleError, match="the bundle is closed"):
        Detector(bundle, engine="ncnn")


def test_a_bundle_opened_is_closed_when_the_engine_fails(
    small_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Bundle] = []

    def failing(name: EngineName, bundle: Bundle, options: DetectorOptions) -> None:
        opened.append(bundle)
        raise EngineError("no")

    monkeypatch.setattr("pocketdet.runtime.detector.make_engine", failing)
    with pytest.raises(EngineError):
        Detector(small_bundle, engine="ncnn")
    with pytest.raises(BundleError, match="closed"):
        opened[0].golden()


def test_torch_is_never_imported(small_bundle: Path) -> None:
    code = (
        "import sys, numpy as np, pocketdet.runtime, pocketdet\n"
        "d = pocketdet.Detector(sys.argv[1])\n"
        "d.detect(np.zeros((50, 40, 3), np.uint8))\n"
        "print([m for m in ('torch', 'onnx', 'onnxruntime', 'pnnx', 'pocketdet.models') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(small_bundle)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout == "[]\n"
