"""A detector's backends: each answers as it does on its own, says what it is, and leaves nothing behind."""

import dataclasses
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError
from tiny_bundle import make_tiny_bundle

from pocketdet.datasets import Dataset, ImageAnnotations
from pocketdet.errors import BundleError, CheckpointError, UsageError
from pocketdet.evaluation import Detections
from pocketdet.evaluation.evaluate import check_classes, evaluate
from pocketdet.evaluation.inputs import is_checkpoint, open_input
from pocketdet.evaluation.report import (
    AccuracyReport,
    accuracy_report,
    data_report,
    variant_report,
)
from pocketdet.evaluation.variants import Variant
from pocketdet.models.checkpoint import save_checkpoint
from pocketdet.models.config import Postprocessing
from pocketdet.models.postprocess import reference_stages
from pocketdet.models.thundernet import ThunderNet
from pocketdet.runtime.bundle import hash_file, load_bundle
from pocketdet.runtime.detector import Detector
from pocketdet.runtime.options import DetectorOptions

CLASSES = ("bolt", "nut", "washer")
ALL_BACKENDS = ("pytorch", "onnx", "ncnn-fp32", "ncnn-fp16")


@pytest.fixture(scope="module")
def checkpoint(small_model: ThunderNet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    save_checkpoint(path, small_model)
    return path


@pytest.fixture(scope="module")
def temporary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The system's temporary folder while this module's backends are made."""
    folder, before = tmp_path_factory.mktemp("temporary"), tempfile.tempdir
    tempfile.tempdir = str(folder)
    yield folder
    tempfile.tempdir = before


@pytest.fixture(scope="module")
def variants(checkpoint: Path, temporary: Path) -> Iterator[tuple[Variant, ...]]:
    """Every form of the small detector."""
    lines: list[str] = []
    with open_input(checkpoint) as target, target.variants(ALL_BACKENDS, log=lines.append) as variants:
        assert any("onnx sam" in line for line in lines)
        assert any("fp16 weights change" in line for line in lines)
        yield variants
    assert not list(temporary.glob("*pocketdet*"))


def assert_same(one: Detections, boxes: object, scores: object, labels: object) -> None:
    np.testing.assert_array_equal(one.boxes, np.asarray(boxes))
    np.testing.assert_array_equal(one.scores, np.asarray(scores))
    np.testing.assert_array_equal(one.labels, np.asarray(labels))


@pytest.mark.slow
def test_a_checkpoint_has_four_backends(variants: tuple[Variant, ...], small_bundle: Path) -> None:
    assert [variant.backend for variant in variants] == list(ALL_BACKENDS)
    assert [variant.name for variant in variants] == ["PyTorch", "ONNX", "ncnn fp32", "ncnn fp16"]
    assert [variant.weights for variant in variants] == ["fp32", "fp32", "fp32", "fp16"]
    with Detector(small_bundle, DetectorOptions(precision="fp16"), engine="ncnn") as detector:
        assert [s.arithmetic for s in variants] == ["fp32", "fp32", "fp32", detector.precision]
    assert {variant.class_names for variant in variants} == {CLASSES}
    assert {variant.rule for variant in variants} == {Postprocessing()}


@pytest.mark.slow
def test_each_form_answers_as_on_its_own(
    variants: tuple[Variant, ...],
    small_model: ThunderNet,
    small_bundle: Path,
    images: list[NDArray[np.uint8]],
) -> None:
    pytorch, onnx, fp32, fp16 = variants
    with (
        Detector(small_bundle, DetectorOptions(engine="onnxruntime")) as by_onnx,
        Detector(small_bundle, engine="ncnn") as by_ncnn,
    ):
        for pixels in images[::3]:
            stages = reference_stages(small_model, pixels)
            assert len(stages.scores)
            assert_same(pytorch.detect(pixels), stages.boxes, stages.scores, stages.labels)
            for variant, detector in ((onnx, by_onnx), (fp32, by_ncnn)):
                own = detector.detect(pixels)
                assert_same(variant.detect(pixels), own.boxes, own.scores, own.labels)
            assert fp16.detect(pixels).scores.tolist() != fp32.detect(pixels).scores.tolist()


def test_only_what_is_wanted_is_exported(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch, images: list[NDArray[np.uint8]]
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("exported")

    monkeypatch.setattr("pocketdet.evaluation.inputs.export_detector", refuse)
    with open_input(checkpoint) as target:
        assert target.digest == hash_file(checkpoint).sha256
        with target.variants(["pytorch"], score=0.4) as variants:
            (variant,) = variants
            found = variant.detect(images[0])
        with target.variants(["pytorch"]) as variants:
            everything = variants[0].detect(images[0])
    assert variant.rule == Postprocessing(score_threshold=0.4)
    assert 0 < len(found.scores) < len(everything.scores)
    assert found.scores.min() > 0.4


@pytest.mark.parametrize("archive", [False, True])
def test_a_bundle_has_the_forms_that_it_carries(
    small_bundle: Path, tmp_path: Path, archive: bool, images: list[NDArray[np.uint8]]
) -> None:
    path = (
        Path(shutil.make_archive(str(tmp_path / "small"), "zip", small_bundle)) if archive else small_bundle
    )
    with load_bundle(path) as bundle, open_input(path) as target:
        assert target.backends == ("pytorch", "onnx", "ncnn-fp32")
        assert (target.digest, target.class_names) == (bundle.digest, CLASSES)
        with target.variants(["ncnn-fp32", "pytorch", "ncnn-fp16"], score=0.3) as variants:
            assert [variant.backend for variant in variants] == ["pytorch", "ncnn-fp32"]
            assert {variant.rule.score_threshold for variant in variants} == {0.3}
            pytorch, ncnn = (variant.detect(images[0]) for variant in variants)
    assert len(pytorch.scores)
    assert pytorch.labels.tolist() == ncnn.labels.tolist()
    np.testing.assert_allclose(pytorch.scores, ncnn.scores, atol=1e-4)


def test_a_bundle_without_references_has_one_form(tmp_path: Path) -> None:
    with open_input(make_tiny_bundle(tmp_path / "tiny.pocketdet")) as target:
        assert target.backends == ("ncnn-fp32",)


def test_what_cannot_be_opened(checkpoint: Path, small_bundle: Path, tmp_path: Path) -> None:
    def refused(path: Path, error: type[Exception], words: str, **options: object) -> None:
        with pytest.raises(error, match=words), open_input(path, **options):  # type: ignore[arg-type]
            pass

    refused(tmp_path / "absent.pt", UsageError, r"absent\.pt: no such file; expected a checkpoint")
    refused(small_bundle, UsageError, "is a bundle, which says itself what it is", arch="thundernet-snet49")
    text = tmp_path / "notes.txt"
    text.write_text("no bundle")
    refused(text, BundleError, "notes.txt")
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(checkpoint.read_bytes()[:-100])
    refused(cut, CheckpointError, "cut.safetensors")


def test_is_checkpoint() -> None:
    assert all(map(is_checkpoint, (Path("a.safetensors"), Path("a.PT"), Path("a.pth"))))
    assert not any(map(is_checkpoint, (Path("a.pocketdet"), Path("a.pocketdet.zip"), Path("a"))))


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """Two images of different brightness; washers have no object, and one bolt does not count."""
    images = []
    for index in range(2):
        path = tmp_path / f"{index}.png"
        cv2.imwrite(str(path), np.full((48, 64, 3), 10 + index, np.uint8))
        boxes = np.array([[4, 4, 30, 40], [30, 8, 60, 44], [2, 2, 9, 9]], np.float32)[: 2 + index]
        labels = np.array([2, 1, 2])[: 2 + index]
        ignored = np.array([False, False, True])[: 2 + index]
        images.append(ImageAnnotations(path, (64, 48), boxes, labels, ignored, index))
    return Dataset(("washer", "nut", "bolt"), tuple(images))


def truthful(dataset: Dataset, class_names: tuple[str, ...] = CLASSES) -> Variant:
    """A variant that knows the answers, in a class order of its own."""

    def detect(pixels: NDArray[np.uint8]) -> Detections:
        image = dataset.images[int(pixels[0, 0, 0]) - 10]
        labels = [class_names.index(dataset.class_names[label]) for label in image.labels]
        return Detections(image.boxes, np.full(len(labels), 0.9, np.float32), np.array(labels, np.int64))

    return Variant("ncnn-fp16", "fp16", "fp32", Postprocessing(), class_names, detect)


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("class_names", [CLASSES, ("nut", "washer", "bolt"), ("washer", "nut", "bolt")])
def test_the_truth_has_an_ap_of_one_in_any_order_of_classes(
    dataset: Dataset, class_names: tuple[str, ...], workers: int
) -> None:
    calls: list[None] = []
    result = evaluate(truthful(dataset, class_names), dataset, lambda: calls.append(None), workers)
    assert len(calls) == 2
    assert (result.coco.ap, result.voc.map_11, result.voc.map_area) == pytest.approx((1, 1, 1))
    assert [one.labels.tolist() for one in result.found] == [[2, 1], [2, 1, 2]]


@pytest.mark.slow
def test_workers_find_what_one_process_finds(
    variants: tuple[Variant, ...], images: list[NDArray[np.uint8]], tmp_path: Path
) -> None:
    annotated = []
    for index, pixels in enumerate(images[:5]):
        path = tmp_path / f"{index}.png"
        cv2.imwrite(str(path), pixels)
        box = np.array([[4, 4, 30, 40]], np.float32)
        labels, ignored = np.array([index % len(CLASSES)]), np.array([False])
        height, width = pixels.shape[:2]
        annotated.append(ImageAnnotations(path, (width, height), box, labels, ignored, index))
    dataset = Dataset(CLASSES, tuple(annotated))
    for variant in variants:
        alone, shared = evaluate(variant, dataset), evaluate(variant, dataset, workers=3)
        assert sum(len(one.scores) for one in alone.found) > 0
        for one, other in zip(alone.found, shared.found, strict=True):
            assert_same(one, other.boxes, other.scores, other.labels)
        assert (alone.coco.ap, alone.voc.map_area) == (shared.coco.ap, shared.voc.map_area)


def test_an_empty_answer_has_an_ap_of_zero(dataset: Dataset) -> None:
    nothing = Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))
    variant = dataclasses.replace(truthful(dataset), detect=lambda pixels: nothing)
    assert evaluate(variant, dataset).coco.ap == 0


def test_classes_must_be_the_same() -> None:
    check_classes("w.pt", ("a", "b"), "t.json", ("b", "a"))
    with pytest.raises(UsageError, match=r"w\.pt and t\.json .*: only t\.json has 'c'; only w\.pt has 'b'; "):
        check_classes("w.pt", ("a", "b"), "t.json", ("a", "c"))
    with pytest.raises(UsageError, match="only t.json has '2', '3', '4', '5', '6' and 3 more; classes"):
        check_classes("w.pt", ("1",), "t.json", tuple("123456789"))
    with pytest.raises(UsageError, match="w.pt has more than one class named 'a'"):
        check_classes("w.pt", ("a", "a"), "t.json", ("a",))


@pytest.fixture
def report(dataset: Dataset) -> AccuracyReport:
    data = data_report(dataset, file="t.json", split=None, sha256="0" * 64, listed=3)
    row = variant_report("w.pt", "a" * 64, evaluate(truthful(dataset), dataset))
    return accuracy_report(data, [row])


def test_a_report_says_it_all(report: AccuracyReport) -> None:
    assert report.data.coverage == "2 of 3 images"
    assert report.data.model_copy(update={"pictures_listed": 2}).coverage == "all 2 images"
    assert (report.data.objects, report.data.ignored) == (4, 1)
    row = report.subjects[0]
    assert (row.form, row.name, row.weights, row.arithmetic) == ("ncnn-fp16", "ncnn fp16", "fp16", "fp32")
    assert (row.ap, row.voc_area, row.ap_large) == (pytest.approx(1), pytest.approx(1), None)
    assert [(one.name, one.objects, one.ap) for one in row.per_class] == [
        ("washer", 0, None),
        ("nut", 2, pytest.approx(1)),
        ("bolt", 2, pytest.approx(1)),
    ]
    assert {"pocketdet", "torch", "ncnn", "pycocotools", "opencv", "machine"} <= report.tools.keys()


def test_a_report_comes_back_from_its_file(report: AccuracyReport, tmp_path: Path) -> None:
    path = tmp_path / "accuracy.json"
    path.write_text(report.to_json())
    assert AccuracyReport.model_validate_json(path.read_bytes()) == report
    path.write_text(report.to_json().replace('"schema_version": 1', '"schema_version": 2'))
    with pytest.raises(ValidationError, match="schema_version"):
        AccuracyReport.model_validate_json(path.read_bytes())


@given(content=st.binary(max_size=200))
def test_whatever_a_file_holds_is_a_report_or_refused(content: bytes) -> None:
    with pytest.raises(ValidationError):
        AccuracyReport.model_validate_json(content)
