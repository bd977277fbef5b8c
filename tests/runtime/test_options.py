"""`DetectorOptions`: every value is checked and has its effect; engines refuse what they cannot run."""

import builtins
import platform
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pocketdet.errors import EngineError, UsageError
from pocketdet.runtime.bundle import load_bundle
from pocketdet.runtime.detections import Detections
from pocketdet.runtime.detector import Detector
from pocketdet.runtime.engines import ncnn_engine
from pocketdet.runtime.engines.ncnn_engine import NcnnEngine
from pocketdet.runtime.engines.onnx_engine import OnnxEngine
from pocketdet.runtime.options import DetectorOptions

NUMBERS = ("threads", "score_threshold", "nms_iou", "rois", "max_detections")
WHOLE = ("threads", "rois", "max_detections")


def detect(bundle: Path, image: NDArray[np.uint8], **options: Any) -> Detections:
    with Detector(bundle, DetectorOptions(**options), engine="ncnn") as detector:
        return detector.detect(image)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("engine", "tflite"),
        ("engine", ["ncnn"]),
        ("precision", "int4"),
        ("precision", 16),
        ("nms", "greedy"),
        ("threads", 0),
        ("threads", 257),
        ("threads", None),
        ("score_threshold", -0.01),
        ("score_threshold", 1.01),
        ("nms_iou", 50),
        ("rois", 0),
        ("rois", 10_001),
        ("max_detections", 0),
        ("max_detections", -1),
        *((name, value) for name in NUMBERS for value in ("1", True, [1], float("nan"), float("inf"), 1j)),
        *((name, 1.0) for name in WHOLE),
    ],
)
def test_invalid_values_are_named(name: str, value: Any) -> None:
    with pytest.raises(UsageError, match=f"^{name}=") as caught:
        DetectorOptions(**{name: value})
    assert repr(value) in str(caught.value)
    assert "expected" in str(caught.value)


def test_numpy_numbers_are_accepted(small_bundle: Path, images: list[NDArray[np.uint8]]) -> None:
    plain = detect(small_bundle, images[0], threads=1, rois=20, score_threshold=0.25, max_detections=5)
    found = detect(
        small_bundle,
        images[0],
        threads=np.int64(1),
        rois=np.int32(20),
        score_threshold=np.float32(0.25),
        max_detections=np.uint8(5),
    )
    assert np.array_equal(found.boxes, plain.boxes)


def test_thresholds_and_counts_limit_detections(small_bundle: Path, images: list[NDArray[np.uint8]]) -> None:
    image = images[0]
    everything = detect(small_bundle, image, score_threshold=0, max_detections=10_000)
    middle = float(np.median(everything.scores))
    above = detect(small_bundle, image, score_threshold=middle, max_detections=10_000)
    assert 0 < len(above) < len(everything)
    assert np.all(above.scores > middle)
    few = detect(small_bundle, image, score_threshold=0, max_detections=3)
    assert np.array_equal(few.boxes, everything.boxes[:3])
    one_roi = detect(small_bundle, image, score_threshold=0, rois=1)
    assert len(one_roi) <= 3 < len(everything)  # a box of each class at most


def test_nms_options_change_detections(small_bundle: Path, images: list[NDArray[np.uint8]]) -> None:
    def found(**options: Any) -> Detections:
        return detect(small_bundle, images[0], score_threshold=0, max_detections=10_000, **options)

    hard, loose = found(nms_iou=0.3), found(nms_iou=1.0)
    linear, gaussian = found(nms="linear", nms_iou=0.3), found(nms="gaussian")
    assert len(hard) < len(loose)
    assert len(linear) > len(hard)  # soft-NMS lowers scores where greedy NMS removes boxes
    assert sorted(linear.scores) != sorted(gaussian.scores)
    assert np.sum(gaussian.scores) < np.sum(loose.scores)
    assert hard.scores[0] == linear.scores[0] == gaussian.scores[0] == loose.scores[0]


def test_defaults_are_those_of_the_manifest(small_bundle: Path, images: list[NDArray[np.uint8]]) -> None:
    with load_bundle(small_bundle) as bundle:
        post, rois = bundle.manifest.postprocessing, bundle.manifest.proposals.post_nms_top_n
    explicit = {
        "score_threshold": post.score_threshold,
        "nms": post.nms,
        "nms_iou": post.nms_iou,
        "max_detections": post.max_detections,
        "rois": rois,
    }
    first, second = detect(small_bundle, images[1]), detect(small_bundle, images[1], **explicit)
    assert np.array_equal(first.boxes, second.boxes)
    assert np.array_equal(first.scores, second.scores)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads_do_not_change_detections(
    small_bundle: Path, images: list[NDArray[np.uint8]], threads: int
) -> None:
    one, many = (detect(small_bundle, images[0], threads=n) for n in (1, threads))
    assert np.array_equal(one.labels, many.labels)
    np.testing.assert_allclose(one.boxes, many.boxes, rtol=0, atol=1e-2)


def test_precision_is_the_arithmetic_in_use(small_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Detector(small_bundle, engine="ncnn") as detector:
        assert detector.precision == "fp32"
    with Detector(small_bundle, DetectorOptions("onnxruntime", precision="fp16")) as detector:
        assert detector.precision == "fp32"
    with Detector(small_bundle, DetectorOptions(precision="fp16"), engine="ncnn") as detector:
        arm = platform.machine() in ("aarch64", "arm64")
        assert detector.precision in (("fp32", "fp16") if arm else ("fp32",))
        assert (detector.precision_note != "") == (detector.precision != "fp16")
    monkeypatch.setattr(ncnn_engine, "_in_use", lambda asked: asked)
    with Detector(small_bundle, DetectorOptions(precision="fp16"), engine="ncnn") as detector:
        assert (detector.precision, detector.requested_precision, detector.precision_note) == (
            "fp16",
            "fp16",
            "",
        )


def test_onnxruntime_missing_names_the_extra(small_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "onnxruntime":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(EngineError, match=r"pip install 'pocketdet\[onnxruntime\]'"):
        Detector(small_bundle, DetectorOptions("onnxruntime"))


@pytest.mark.parametrize("kind", [NcnnEngine, OnnxEngine])
def test_engines_reject_inputs_of_a_wrong_shape_or_type(small_bundle: Path, kind: Any) -> None:
    with load_bundle(small_bundle) as bundle:
        engine = kind(bundle.manifest.graphs.by_name(), bundle.path)
    good = np.zeros((3, 96, 64), np.float32)
    wrong = {"float32": good.astype(np.float64), "shape": good[:, 1:], r"\(3, 96, 64\)": good[None]}
    for words, image in wrong.items():
        with pytest.raises(EngineError, match=words):
            engine.run("features", {"image": image})
    with pytest.raises(EngineError, match="needs an input 'image'"):
        engine.run("features", {"other": good})
    assert set(engine.run("features", {"image": good})) == {"rpn_scores", "rpn_deltas", "sam"}


@pytest.mark.parametrize("kind", [NcnnEngine, OnnxEngine])
def test_engines_reject_a_file_that_is_not_a_graph(small_bundle: Path, tmp_path: Path, kind: Any) -> None:
    (tmp_path / "garbage").write_bytes(b"not a graph")
    with load_bundle(small_bundle) as bundle, pytest.raises(EngineError, match="cannot load .*garbage"):
        kind(bundle.manifest.graphs.by_name(), lambda name: tmp_path / "garbage")
