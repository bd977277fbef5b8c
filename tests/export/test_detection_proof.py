"""Detections of a bundle on several images, beside the network and a plain decoder."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from foreign_onnx import make_foreign
from numpy.typing import NDArray
from one_stage_loops import decode_by_loops

from pocketdet.export.exporter import export_reference
from pocketdet.export.golden import IMAGES, compare_on_images
from pocketdet.export.reference.base import synthetic_image
from pocketdet.export.reference.description import read_description
from pocketdet.export.reference.factory import reference_from_onnx
from pocketdet.export.reference.one_stage import OneStageReference
from pocketdet.runtime.bundle import load_bundle
from pocketdet.runtime.detector import Detector
from pocketdet.runtime.verification import golden_stages, replay

PICTURES = [synthetic_image((64, 64), seed) for seed in range(20, 26)]


@pytest.fixture(scope="module")
def log() -> list[str]:
    return []


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory, log: list[str]) -> tuple[OneStageReference, Path]:
    """An ONNX detector, and its bundle."""
    folder = tmp_path_factory.mktemp("foreign")
    path, description = make_foreign(folder)
    reference = reference_from_onnx(path, read_description(description))
    assert isinstance(reference, OneStageReference)
    return reference, export_reference(reference, folder, log=log.append).path


def plain_detections(
    reference: OneStageReference, image: NDArray[np.uint8]
) -> list[tuple[float, int, list[float]]]:
    """The network in onnxruntime, then loops over anchors: score, label and box in pixels of the image."""
    outputs = reference.raw(reference.preprocess(image)[1])
    height, width = (image.shape[i] / side for i, side in enumerate(reference.decode.input_size))
    found = decode_by_loops(reference.decode, outputs)
    scale = (width, height, width, height)
    return [(s, label, [v * k for v, k in zip(box, scale, strict=True)]) for s, label, _, box in found]


def test_detections_are_those_of_a_plain_decoder(foreign: tuple[OneStageReference, Path]) -> None:
    reference, bundle = foreign
    compared = 0
    with Detector(bundle, engine="ncnn") as detector:
        for image in PICTURES:
            expected = plain_detections(reference, image)
            found = detector.detect(image)
            assert len(found) == len(expected)
            for i, (score, label, box) in enumerate(expected):
                nearest = np.abs(found.boxes - np.array(box)).max(axis=1)
                nearest[(found.labels != label) | (np.abs(found.scores - score) > 1e-3)] = np.inf
                assert nearest.min() < 0.1, (i, box)
            compared += len(expected)
    assert compared > 50


def test_the_export_compares_several_images(foreign: tuple[OneStageReference, Path], log: list[str]) -> None:
    (line,) = [line for line in log if "other images" in line]
    assert line.startswith(f"-[✓] detections on {IMAGES} other images")
    agreed, total = line.split(": ")[1].split(" ")[0].split("/")
    assert agreed == total
    assert int(total) > 10
    (golden,) = [line for line in log if "golden image" in line]
    assert golden.startswith("-[✓]")


def test_another_decoder_is_found(foreign: tuple[OneStageReference, Path]) -> None:
    reference, bundle = foreign
    (coding,) = reference.decode.codings
    wider = replace(coding, multiplier=(1.0, 1.0, 1.02, 1.0))
    other = reference.with_decode(replace(reference.decode, codings=(wider,)))
    with Detector(bundle, engine="ncnn") as detector:
        assert compare_on_images(detector, reference, PICTURES).ok
        check = compare_on_images(detector, other, PICTURES)
    assert not check.ok
    assert check.proved


def test_images_without_detections_prove_nothing(foreign: tuple[OneStageReference, Path]) -> None:
    reference, bundle = foreign
    selection = replace(reference.decode.selection, min_size=4096.0)
    blind = reference.with_decode(replace(reference.decode, selection=selection))
    with Detector(bundle, engine="ncnn") as detector:
        check = compare_on_images(detector, blind, PICTURES)
    assert check.ok
    assert not check.proved
    assert str(check).startswith("-[?]")


def test_a_golden_with_a_threshold_of_its_own_is_replayed(tmp_path: Path) -> None:
    path, description = make_foreign(tmp_path)
    reference = reference_from_onnx(path, read_description(description))
    assert isinstance(reference, OneStageReference)
    selection = replace(reference.decode.selection, score_threshold=0.9999)
    strict = reference.with_decode(replace(reference.decode, selection=selection))
    lines: list[str] = []
    result = export_reference(strict, tmp_path, log=lines.append)
    with load_bundle(result.path) as bundle:
        golden = bundle.manifest.golden
        stages = golden_stages(bundle)
    assert golden.score_threshold is not None
    assert golden.score_threshold < 0.9999
    assert len(stages["scores"]) >= 5
    assert stages["scores"].min() > golden.score_threshold
    report = replay(result.path)
    assert report.ok
    assert report.not_proved == []
    with Detector(result.path, engine="ncnn") as detector:  # the detector keeps its own
        assert detector.score_threshold == 0.9999
        assert len(detector.detect(stages["image"])) < len(stages["scores"])
