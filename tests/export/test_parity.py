"""PyTorch against ncnn fp32 for every backbone on ten images: the promise of the whole project."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from near_ties import unexplained_differences
from numpy.typing import NDArray

from pocketdet.export.reference.factory import reference_of
from pocketdet.models.build import ARCHITECTURES
from pocketdet.models.thundernet import ThunderNet
from pocketdet.runtime.detector import Detector
from pocketdet.runtime.options import DetectorOptions
from pocketdet.runtime.pipeline import Boxes
from pocketdet.runtime.verification import compare_stages

MAX_RELATIVE_ERROR = 1e-3


@pytest.mark.parametrize("engine", ["ncnn", pytest.param("onnxruntime", marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "arch", [pytest.param(a, marks=[] if "snet49" in a else pytest.mark.slow) for a in ARCHITECTURES]
)
def test_ten_images_through_every_stage(
    arch: str,
    engine: str,
    detector_of: Callable[[str], ThunderNet],
    bundle_of: Callable[[str], Path],
    sample_images: list[NDArray[np.uint8]],
) -> None:
    detections = near_ties = 0
    with Detector(bundle_of(arch), DetectorOptions(engine=engine)) as detector:  # type: ignore[arg-type]
        for image in sample_images:
            reference = reference_of(detector_of(arch)).values(image)
            maps = detector.pipeline.features(reference["normalised"])
            head = detector.pipeline.head(reference["roi_features"])
            for role, value in {**maps, "head": head}.items():
                largest = np.abs(reference[role]).max()
                assert np.abs(value - reference[role]).max() < MAX_RELATIVE_ERROR * largest, role
            failed = [c for c in compare_stages(reference, detector) if not c.ok]
            if [c.name for c in failed] == ["image to boxes"]:
                run = detector.detect(image)
                found = Boxes(run.boxes, run.scores, run.labels)
                assert unexplained_differences(reference, found, detector, image) == []
                near_ties += 1
            else:
                assert not failed, [str(c) for c in failed]
            detections += len(reference["scores"])
    assert near_ties <= 2
    assert detections > 100  # the comparison of detections was about something


def test_detections_differ_between_images(
    bundle_of: Callable[[str], Path], sample_images: list[NDArray[np.uint8]]
) -> None:
    """Nothing of the example input is baked into the graphs."""
    with Detector(bundle_of("thundernet-snet49"), engine="ncnn") as detector:
        first, second = (detector.detect(p) for p in sample_images[:2])
    assert first.labels.tolist() != second.labels.tolist()


@pytest.mark.parametrize("rois", [1, 10, 200, 1000])
def test_any_number_of_rois(
    rois: int, bundle_of: Callable[[str], Path], sample_images: list[NDArray[np.uint8]]
) -> None:
    with Detector(bundle_of("thundernet-snet49"), DetectorOptions(rois=rois), engine="ncnn") as detector:
        maps = detector.pipeline.features(detector.pipeline.preprocess(sample_images[0]))
        found = detector.pipeline.propose(maps["rpn_scores"], maps["rpn_deltas"])
        assert 0 < len(found.boxes) <= rois
        assert len(detector.pipeline.head(detector.pipeline.roi_features(maps["sam"], found.boxes))) == len(
            found.boxes
        )
