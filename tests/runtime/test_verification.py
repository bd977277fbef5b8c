"""Golden stages that do not fit are refused; the first stage that goes wrong is the one that is named."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pocketdet.errors import BundleError
from pocketdet.runtime.bundle import load_bundle, write_golden
from pocketdet.runtime.detector import Detector
from pocketdet.runtime.options import DetectorOptions
from pocketdet.runtime.pipeline import TwoStagePipeline
from pocketdet.runtime.verification import StageValues, compare_stages, golden_stages, make_detectors, replay

GOLDEN = (
    *("image", "image_rows", "resized", "normalised", "rpn_scores", "rpn_deltas", "sam"),
    *("proposal_indices", "proposal_boxes", "roi_features", "head", "boxes", "scores", "labels"),
)
ROWS = (
    *("decode", "resize", "normalise", "features.rpn_scores", "features.rpn_deltas", "features.sam"),
    *("proposals.anchors", "proposals.boxes", "roi_features", "head", "boxes", "image to boxes"),
)


@pytest.fixture(scope="module")
def golden(small_bundle: Path) -> StageValues:
    with load_bundle(small_bundle) as bundle:
        return golden_stages(bundle)


@pytest.fixture
def with_golden(
    small_bundle: Path, golden: StageValues, tmp_path: Path, rehash: Callable[[Path], None]
) -> Callable[..., Path]:
    """A copy of the small bundle whose golden stages are changed; None removes one."""

    def make(**changes: Any) -> Path:
        target = tmp_path / "changed"
        shutil.copytree(small_bundle, target)
        with load_bundle(target) as bundle:
            stages = {k: v for k, v in {**golden, **changes}.items() if v is not None}
            write_golden(target, bundle.manifest.golden, stages)
        rehash(target)
        return target

    return make


def test_checks_are_the_stages_in_order(small_bundle: Path, golden: StageValues) -> None:
    assert tuple(golden) == GOLDEN
    for engine in ("ncnn", "onnxruntime"):
        with Detector(small_bundle, DetectorOptions(engine)) as detector:  # type: ignore[arg-type]
            checks = compare_stages(golden, detector)
        assert tuple(c.name for c in checks) == ROWS
        assert all(c.ok for c in checks)


@pytest.mark.parametrize("name", GOLDEN[1:])
def test_a_missing_stage_is_named(name: str, with_golden: Callable[..., Path]) -> None:
    with pytest.raises(BundleError, match=rf"golden stage '{name}': expected .*, found nothing"):
        replay(with_golden(**{name: None}))


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("image_rows", lambda a: a.astype(np.int32), r"expected int64 \(H=\d+, 3\), found int32"),
        ("image_rows", lambda a: a[:-1], "found int64"),
        ("resized", lambda a: a[:, ::2], r"\(96, 64, 3\), found uint8 \(96, 32, 3\)"),
        ("normalised", lambda a: a.astype(np.float64), "found float64"),
        ("rpn_scores", lambda a: a[:-1], r"\(50, 6, 4\), found float32 \(49, 6, 4\)"),
        ("rpn_deltas", lambda a: a.transpose(0, 2, 1), r"\(100, 4, 6\)"),
        ("sam", lambda a: a.reshape(245, 24), r"\(245, 24\)"),
        ("proposal_boxes", lambda a: a[:, :3], r"4\), found"),
        ("proposal_boxes", lambda a: a[:-2], r"expected float32 \(R=\d+, 4\)"),
        ("roi_features", lambda a: a[:0], r"245\), found float32 \(0, 245\)"),
        ("head", lambda a: a[:, 1:], r"8\), found"),
        ("boxes", lambda a: a.ravel(), "expected float32"),
        ("scores", lambda a: np.concatenate([a, a]), r"expected float32 \(N=\d+\)"),
        ("labels", lambda a: a.astype(np.int64), "expected int32"),
    ],
)
def test_a_stage_that_does_not_fit_is_named(
    name: str, change: Callable[..., Any], words: str, golden: StageValues, with_golden: Callable[..., Path]
) -> None:
    path = with_golden(**{name: change(golden[name])})
    with pytest.raises(BundleError, match=f"golden stage '{name}': .*{words}"):
        replay(path)


@pytest.mark.parametrize("value", [np.nan, np.inf, 3e38])
@pytest.mark.parametrize("name", ["normalised", "rpn_scores", "rpn_deltas", "sam", "proposal_boxes", "head"])
def test_extreme_values_fail_without_a_crash(
    name: str, value: float, golden: StageValues, with_golden: Callable[..., Path]
) -> None:
    report = replay(with_golden(**{name: np.full_like(golden[name], value)}))
    assert not report.ok
    report.to_json()


@pytest.mark.parametrize(
    ("method", "stage"),
    [
        ("resize", "resize"),
        ("preprocess", "normalise"),
        ("features", "features.rpn_scores"),
        ("roi_features", "roi_features"),
        ("head", "head"),
    ],
)
def test_the_first_failing_stage_is_the_wrong_one(
    small_bundle: Path, golden: StageValues, monkeypatch: pytest.MonkeyPatch, method: str, stage: str
) -> None:
    sound = getattr(TwoStagePipeline, method)

    def faulty(self: TwoStagePipeline, *args: Any) -> Any:
        result = sound(self, *args)
        if isinstance(result, dict):
            return {k: v * np.float32(1.01) for k, v in result.items()}
        return 255 - result if result.dtype == np.uint8 else result * np.float32(1.01)

    monkeypatch.setattr(TwoStagePipeline, method, faulty)
    with Detector(small_bundle, engine="ncnn") as detector:
        failed = [c.name for c in compare_stages(golden, detector) if not c.ok]
    assert failed[0] == stage
    local = [name for name in failed if name != "image to boxes"]
    assert all(name.split(".")[0] == stage.split(".")[0] for name in local)  # no stage inherits the error


def test_options_that_differ_from_the_manifest_fail(small_bundle: Path, golden: StageValues) -> None:
    with Detector(small_bundle, DetectorOptions(rois=3), engine="ncnn") as detector:
        failed = [c.name for c in compare_stages(golden, detector) if not c.ok]
    assert failed[0] == "proposals.anchors"


def test_a_bundle_without_onnx_is_replayed_in_ncnn(tiny_bundle: Path) -> None:
    with load_bundle(tiny_bundle) as bundle:
        assert list(make_detectors(bundle)) == ["ncnn"]


def test_without_onnxruntime_only_ncnn_is_used(small_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    report = replay(small_bundle)
    assert report.ok
    assert list(report.images[0].checks) == ["ncnn"]
