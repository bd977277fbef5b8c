"""The ways to call a `Detector`: keywords, BGR, several images, video; and the same detector elsewhere."""

import copy
import inspect
import multiprocessing
import pickle
from dataclasses import fields
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_type_hints

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from videos import write_video

from pocketdet.errors import BundleError, ImageError, UsageError
from pocketdet.runtime.bundle import load_bundle
from pocketdet.runtime.detections import Detections
from pocketdet.runtime.detector import Detector
from pocketdet.runtime.options import DetectorOptions

IMAGES = [np.random.default_rng(i).integers(0, 256, (40 + i, 50, 3), np.uint8) for i in range(3)]


@pytest.fixture(scope="module")
def detector(tiny_bundle_template: Path) -> Detector:
    return Detector(tiny_bundle_template)


def alternatives(hint: Any) -> set[Any]:
    """int | None -> {int, NoneType}"""
    return {one for part in get_args(hint) or (hint,) for one in get_args(part) or (part,)}


def test_keywords_are_the_options(tiny_bundle_template: Path) -> None:
    """All options, with the same types, and nothing else."""
    parameters = inspect.signature(Detector.__init__).parameters
    keywords = {n: p for n, p in parameters.items() if p.kind is p.KEYWORD_ONLY}
    assert list(keywords) == [field.name for field in fields(DetectorOptions)]
    assert all(parameter.default is None for parameter in keywords.values())
    hints, of_options = get_type_hints(Detector.__init__), get_type_hints(DetectorOptions)
    for name, hint in of_options.items():
        assert {*alternatives(hint), NoneType} <= alternatives(hints[name]), name
    chosen = {"threads": 2, "score_threshold": 0.25, "nms": "linear", "nms_iou": 0.4, "max_detections": 7}
    with Detector(tiny_bundle_template, **chosen) as by_keywords:  # type: ignore[arg-type]
        assert by_keywords.options == DetectorOptions(**chosen)  # type: ignore[arg-type]
    with Detector(tiny_bundle_template, DetectorOptions(threads=2, rois=9), rois=5) as both:
        assert both.options == DetectorOptions(threads=2, rois=5)
    with pytest.raises(UsageError, match="^threads=0: expected"):
        Detector(tiny_bundle_template, threads=0)
    with pytest.raises(UsageError, match="^engine='tflite': expected"):
        Detector(tiny_bundle_template, engine="tflite")  # type: ignore[arg-type]


def test_bgr_is_the_same_image(detector: Detector) -> None:
    rgb = IMAGES[0]
    expected = detector.detect(rgb)
    assert len(expected) > 0
    alpha = np.full((*rgb.shape[:2], 1), 9, np.uint8)
    bgr = np.ascontiguousarray(rgb[..., ::-1])
    for image in (bgr, rgb[..., ::-1], np.concatenate([bgr, alpha], axis=2), bgr.astype(np.uint16) * 257):
        assert detector.detect(image, color="BGR") == expected
    assert detector.detect(rgb[..., 0], color="BGR") == detector.detect(rgb[..., 0])
    assert detector.detect(bgr) != expected
    with pytest.raises(UsageError, match="color='rgb': expected RGB or BGR"):
        detector.detect(rgb, color="rgb")  # type: ignore[arg-type]


def test_a_batch_is_each_image(detector: Detector) -> None:
    expected = [detector.detect(image) for image in IMAGES]
    assert detector.detect_batch(IMAGES) == detector.detect_batch(iter(IMAGES)) == expected
    assert detector.detect_batch([image[..., ::-1] for image in IMAGES], color="BGR") == expected
    array = np.stack([image[:40] for image in IMAGES])
    assert detector.detect_batch(array) == [detector.detect(image) for image in array]
    assert detector.detect_batch([]) == []


def test_a_batch_names_the_image_that_is_none(detector: Detector) -> None:
    with pytest.raises(ImageError, match="^image 1: expected an image with uint8 or uint16 samples"):
        detector.detect_batch([IMAGES[0], IMAGES[1].astype(np.float32)])
    with pytest.raises(ImageError, match=r"several images.*found \(40, 50, 3\); use detect for one image"):
        detector.detect_batch(IMAGES[0])


def test_a_video_is_each_frame(detector: Detector, tmp_path: Path) -> None:
    video = write_video(tmp_path / "clip.avi", 3)
    results = list(detector.detect_video(video))
    assert [frame.index for frame, _ in results] == [0, 1, 2]
    for frame, found in results:
        assert found == detector.detect(frame.image)
    with pytest.raises(ImageError, match="no such image, folder or video"):
        detector.detect_video(tmp_path / "none.mp4")


def test_a_folder_is_each_image(detector: Detector, tmp_path: Path) -> None:
    for number, image in enumerate(IMAGES):
        cv2.imwrite(str(tmp_path / f"{number}.png"), image[..., ::-1])
    results = {frame.name: found for frame, found in detector.detect_video(tmp_path)}
    assert results == {str(i): detector.detect(image) for i, image in enumerate(IMAGES)}


def test_a_pickled_detector_detects_the_same(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tiny_bundle.parent)
    with Detector(tiny_bundle.name, score_threshold=0.2, nms="linear") as detector:
        data, expected = pickle.dumps(detector), detector.detect(IMAGES[0])
    monkeypatch.chdir("/")
    with pickle.loads(data) as restored:
        assert restored.options == detector.options
        assert restored.detect(IMAGES[0]) == expected
        with copy.copy(restored) as another:
            assert another.detect(IMAGES[0]) == expected
    manifest = tiny_bundle / "manifest.json"
    manifest.write_text(manifest.read_text() + "\n")
    with pytest.raises(BundleError, match="the bundle has changed since the detector was pickled"):
        pickle.loads(data)


def test_what_has_no_path_is_not_sent(tiny_bundle_template: Path) -> None:
    with Detector(tiny_bundle_template) as detector:
        engine = detector.engine
        with Detector(tiny_bundle_template, engine=engine) as with_engine:
            refused(with_engine, "with an engine")
    refused(detector, "closed")
    with load_bundle(tiny_bundle_template) as bundle, Detector(bundle) as of_a_bundle:
        refused(of_a_bundle, "from a loaded bundle")


def refused(detector: Detector, reason: str) -> None:
    with pytest.raises(UsageError, match=f"{reason}.*cannot be sent.*make one there, from the path"):
        pickle.dumps(detector)


_of_this_process: list[Detector] = []


def _keep(detector: Detector) -> None:
    _of_this_process.append(detector)


def _detect(image: NDArray[Any]) -> Detections:
    return _of_this_process[0].detect(image)


def test_a_pool_of_spawned_processes(tiny_bundle_template: Path) -> None:
    with Detector(tiny_bundle_template, score_threshold=0.1) as detector:
        expected = detector.detect_batch(IMAGES)
        with multiprocessing.get_context("spawn").Pool(1, _keep, (detector,)) as pool:
            assert pool.map_async(_detect, IMAGES).get(120) == expected
