"""A one-stage bundle from image to boxes: every stage against PyTorch, options, faults that are named."""

import dataclasses
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_one_stage import SPEC

from pocketdet.errors import BundleError, UsageError
from pocketdet.models.ops.one_stage_decode import one_stage_decode
from pocketdet.runtime.bundle import load_bundle, write_golden
from pocketdet.runtime.detector import Detector
from pocketdet.runtime.options import DetectorOptions
from pocketdet.runtime.parity import StageValues
from pocketdet.runtime.pipeline import OneStagePipeline
from pocketdet.runtime.verification import compare_stages, golden_stages, make_detectors, replay
from pocketdet.spec.one_stage import Suppression

STAGES = ("preprocess", "model", "boxes")
FIELDS = ("classes", "objectness", "boxes")
ROWS = (
    *("decode", "resize", "normalise"),
    *(f"model.maps: {field}, level 1" for field in FIELDS),
    *(f"model.rows: {field}, level 2" for field in FIELDS),
    *("boxes", "image to boxes"),
)
GOLDEN = (
    *("image", "image_rows", "resized", "normalised", "outputs.maps", "outputs.rows"),
    *("boxes", "scores", "labels"),
)


@pytest.fixture(scope="module")
def golden(tiny_one_stage_template: Path) -> StageValues:
    with load_bundle(tiny_one_stage_template) as bundle:
        return golden_stages(bundle)


def test_golden_replays_stage_by_stage(tiny_one_stage_template: Path, golden: StageValues) -> None:
    assert tuple(golden) == GOLDEN
    report = replay(tiny_one_stage_template)
    assert report.ok
    (checks,) = report.images[0].checks.values()
    assert tuple(check.name for check in checks) == ROWS
    assert all(check.max_abs <= 1e-4 for check in checks)


def test_detections_are_those_of_pytorch(tiny_one_stage_template: Path, golden: StageValues) -> None:
    with Detector(tiny_one_stage_template, engine="ncnn") as detector:
        found = detector.detect(golden["image"])
        assert detector.stages == tuple(found.milliseconds) == STAGES
        assert detector.precision == detector.requested_precision == "fp32"
        assert detector.pipeline.count_proposals(golden["image"]) == 0
    np.testing.assert_allclose(found.boxes, golden["boxes"], atol=1e-4)
    np.testing.assert_allclose(found.scores, golden["scores"], atol=1e-6)
    np.testing.assert_array_equal(found.labels, golden["labels"])
    assert found.names == tuple(("bolt", "wrench")[label] for label in found.labels)
    assert found.total_milliseconds == sum(found.milliseconds.values()) > 0


@pytest.mark.parametrize("shape", [(24, 40), (1, 1), (200, 31), (33, 500)])
def test_images_of_any_size(tiny_one_stage_template: Path, shape: tuple[int, int]) -> None:
    image = np.random.default_rng(1).integers(0, 256, (*shape, 3), dtype=np.uint8)
    with Detector(tiny_one_stage_template, DetectorOptions(score_threshold=0.0), engine="ncnn") as detector:
        found = detector.detect(image)
    assert len(found) > 0
    assert (found.boxes >= 0).all()
    assert (found.boxes <= np.array([shape[1], shape[0], shape[1], shape[0]], np.float32)).all()


@pytest.mark.parametrize(
    "chosen",
    [
        {"score_threshold": 0.35},
        {"nms": "linear"},
        {"nms": "gaussian", "score_threshold": 0.3},
        {"nms_iou": 0.1},
        {"max_detections": 3},
        {"score_threshold": 0.0, "nms": "hard", "nms_iou": 0.9, "max_detections": 50},
    ],
)
def test_options_override_the_selection(
    tiny_one_stage_template: Path, golden: StageValues, chosen: dict[str, Any]
) -> None:
    spec = dataclasses.replace(SPEC, selection=dataclasses.replace(SPEC.selection, **chosen))
    outputs = {role: golden[f"outputs.{role}"] for role in ("maps", "rows")}
    wanted = one_stage_decode(spec, {role: torch.tensor(value) for role, value in outputs.items()})
    with Detector(tiny_one_stage_template, DetectorOptions(**chosen), engine="ncnn") as detector:
        assert isinstance(detector.pipeline, OneStagePipeline)
        found = detector.pipeline.boxes(outputs, (32, 32))
    np.testing.assert_allclose(found.boxes, wanted.boxes.numpy(), atol=1e-4)
    np.testing.assert_allclose(found.scores, wanted.scores.numpy(), atol=1e-6)
    np.testing.assert_array_equal(found.labels, wanted.labels.numpy())


def test_a_description_without_nms(
    tiny_one_stage: Path, golden: StageValues, rehash: Callable[[Path], None]
) -> None:
    path = tiny_one_stage / "manifest.json"
    document = json.loads(path.read_text())
    document["decode"]["selection"]["nms"] = "none"
    path.write_text(json.dumps(document))
    with Detector(tiny_one_stage, engine="ncnn") as detector:
        assert len(detector.detect(golden["image"])) == SPEC.selection.top_n
    methods: tuple[Suppression, ...] = ("hard",)
    for method in methods:  # which a caller may put back
        with Detector(tiny_one_stage, DetectorOptions(nms=method), engine="ncnn") as detector:
            assert len(detector.detect(golden["image"])) == len(golden["scores"])


def test_rois_option_is_rejected(tiny_one_stage_template: Path) -> None:
    with pytest.raises(UsageError, match="rois=50: tiny-one-stage is a one-stage detector, which has no"):
        Detector(tiny_one_stage_template, DetectorOptions(rois=50), engine="ncnn")


def test_several_threads_at_once(tiny_one_stage_template: Path) -> None:
    images = [np.random.default_rng(i).integers(0, 256, (40, 50, 3), dtype=np.uint8) for i in range(4)]
    with Detector(tiny_one_stage_template, engine="ncnn") as detector:
        alone = [detector.detect(image) for image in images]
        wrong: list[int] = []

        def work(which: int) -> None:
            for _ in range(25):
                found = detector.detect(images[which])
                if not np.array_equal(found.boxes, alone[which].boxes):
                    wrong.append(which)

        threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []


@pytest.fixture
def with_golden(
    tiny_one_stage: Path, golden: StageValues, rehash: Callable[[Path], None]
) -> Callable[[str, Any], Path]:
    """The bundle with one stage of its golden changed; None removes it."""

    def make(name: str, value: Any) -> Path:
        stages = {k: v for k, v in {**golden, name: value}.items() if v is not None}
        with load_bundle(tiny_one_stage) as bundle:
            write_golden(tiny_one_stage, bundle.manifest.golden, stages)
        rehash(tiny_one_stage)
        return tiny_one_stage

    return make


@pytest.mark.parametrize("name", GOLDEN[1:])
def test_a_missing_stage_is_named(name: str, with_golden: Callable[[str, Any], Path]) -> None:
    with pytest.raises(BundleError, match=rf"golden stage '{name}': expected .*, found nothing"):
        replay(with_golden(name, None))


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("outputs.maps", lambda a: a[:-1], r"expected float32 \(14, 4, 4\), found float32 \(13, 4, 4\)"),
        ("outputs.rows", lambda a: a.T, r"expected float32 \(4, 7\), found float32 \(7, 4\)"),
        ("outputs.rows", lambda a: a.astype(np.float64), "found float64"),
        ("scores", lambda a: a[:-1], r"expected float32 \(N=18\), found float32 \(17,\)"),
    ],
)
def test_a_stage_that_does_not_fit_is_named(
    name: str,
    change: Callable[[Any], Any],
    words: str,
    golden: StageValues,
    with_golden: Callable[[str, Any], Path],
) -> None:
    with pytest.raises(BundleError, match=f"golden stage '{name}': .*{words}"):
        replay(with_golden(name, change(golden[name])))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38])
@pytest.mark.parametrize("name", ["normalised", "outputs.maps", "outputs.rows"])
def test_extreme_values_fail_without_a_crash(
    name: str, value: float, golden: StageValues, with_golden: Callable[[str, Any], Path]
) -> None:
    report = replay(with_golden(name, np.full_like(golden[name], value)))
    assert not report.ok
    report.to_json()


@pytest.mark.parametrize(
    ("method", "stage"),
    [
        ("resize", "resize"),
        ("preprocess", "normalise"),
        ("model", "model.maps: classes, level 1"),
        ("to_original", "boxes"),
    ],
)
def test_the_first_failing_stage_is_the_wrong_one(
    tiny_one_stage_template: Path,
    golden: StageValues,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    stage: str,
) -> None:
    sound = getattr(OneStagePipeline, method)

    def faulty(self: OneStagePipeline, *args: Any) -> Any:
        result = sound(self, *args)
        if isinstance(result, dict):
            return {k: v * np.float32(1.01) for k, v in result.items()}
        return 255 - result if result.dtype == np.uint8 else result * np.float32(1.05)

    monkeypatch.setattr(OneStagePipeline, method, faulty)
    with Detector(tiny_one_stage_template, engine="ncnn") as detector:
        failed = [c.name for c in compare_stages(golden, detector) if not c.ok]
    assert failed[0] == stage


def test_a_bundle_without_onnx_uses_ncnn(tiny_one_stage_template: Path) -> None:
    with load_bundle(tiny_one_stage_template) as bundle:
        assert list(make_detectors(bundle)) == ["ncnn"]
