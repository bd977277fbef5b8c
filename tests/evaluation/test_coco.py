"""COCO's numbers: worked by hand where that is possible, else equal to pycocotools used the plain way."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from pocketdet.datasets import Dataset
from pocketdet.datasets.records import ImageAnnotations, image_annotations
from pocketdet.errors import UsageError
from pocketdet.evaluation import CocoAccuracy, Detections, coco_accuracy

Box = tuple[float, float, float, float]
AnnotatedBox = tuple[Box, int, bool]

SQUARE: Box = (10, 10, 110, 110)


def annotations(*objects: AnnotatedBox) -> ImageAnnotations:
    return image_annotations(
        Path("x.jpg"), (400, 400), list(objects), image_id=7
    )  # ids may repeat across sources


def found(*detections: tuple[Box, int, float]) -> Detections:
    return Detections(
        np.array([box for box, _, _ in detections], np.float32).reshape(-1, 4),
        np.array([score for _, _, score in detections], np.float32),
        np.array([label for _, label, _ in detections], np.int64),
    )


def as_found(image: ImageAnnotations) -> Detections:
    return Detections(image.boxes, np.full(len(image.boxes), 0.9, np.float32), image.labels)


def numbers(accuracy: CocoAccuracy) -> list[float]:
    names = ("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large", "ar100")
    return [getattr(accuracy, name) for name in names]


def close(actual: ArrayLike, expected: ArrayLike) -> None:
    """Equal, nan included, but for pycocotools' own tp / (tp + fp + epsilon)."""
    np.testing.assert_allclose(actual, np.asarray(expected, float), rtol=0, atol=1e-12)


def test_a_perfect_detector_has_one_everywhere() -> None:
    first = annotations(((0, 0, 16, 16), 0, False), ((50, 50, 100, 100), 1, False))
    second = annotations(((20, 20, 220, 220), 0, False))
    data = Dataset(("bolt", "nut"), (first, second))
    accuracy = coco_accuracy(data, [as_found(first), as_found(second)])
    assert numbers(accuracy) == pytest.approx([1.0] * 7)
    assert [(one.name, one.objects) for one in accuracy.per_class] == [("bolt", 2), ("nut", 1)]
    close(accuracy.curves50, np.ones((2, 101)))


@pytest.mark.parametrize(
    ("height", "thresholds"),
    [(49, 0), (50, 1), (60, 3), (62, 3), (75, 6), (94, 9), (100, 10)],
)
def test_a_box_counts_at_the_thresholds_that_its_iou_reaches(height: int, thresholds: int) -> None:
    # A detection as wide as the 100 x 100 object and `height` high within it has the IoU height / 100.
    data = Dataset(("bolt",), (annotations((SQUARE, 0, False)),))
    accuracy = coco_accuracy(data, [found(((10, 10, 110, 10 + height), 0, 0.8))])
    assert accuracy.ap == pytest.approx(thresholds / 10)
    assert accuracy.ar100 == pytest.approx(thresholds / 10)
    close([accuracy.ap50, accuracy.ap75], [height >= 50, height >= 75])


def test_sizes_are_told_apart_by_the_area_of_the_box() -> None:
    small, medium, large = (0, 0, 16, 16), (50, 50, 114, 114), (150, 150, 278, 278)
    data = Dataset(("bolt",), (annotations(*(((*box,), 0, False) for box in (small, medium, large))),))
    accuracy = coco_accuracy(data, [found((medium, 0, 0.9))])
    close([accuracy.ap_small, accuracy.ap_medium, accuracy.ap_large], [0, 1, 0])
    # one of three objects: precision 1 up to recall 1/3, that is at 34 of the 101 recalls
    assert accuracy.ap == pytest.approx(34 / 101)
    assert accuracy.ar100 == pytest.approx(1 / 3)


def test_without_objects_of_a_size_its_number_is_nan() -> None:
    data = Dataset(("bolt",), (annotations((SQUARE, 0, False)),))
    accuracy = coco_accuracy(data, [found((SQUARE, 0, 0.9))])
    close(numbers(accuracy), [1, 1, 1, np.nan, np.nan, 1, 1])


@pytest.mark.parametrize(("crowd", "expected"), [(True, 1.0), (False, 1 / 3)])
def test_detections_on_a_crowd_are_not_punished(crowd: bool, expected: float) -> None:
    # Two more certain detections lie within the region. On a crowd they do not count; on bare ground they
    # are false positives, and the one hit has the precision 1/3 at every recall.
    region: Box = (200, 200, 380, 380)
    truths = [(SQUARE, 0, False), (region, 0, True)] if crowd else [(SQUARE, 0, False)]
    data = Dataset(("bolt",), (annotations(*truths),))
    inside = [((210, 210, 260, 260), 0, 0.99), ((300, 300, 350, 350), 0, 0.95)]
    accuracy = coco_accuracy(data, [found(*inside, (SQUARE, 0, 0.9))])
    assert accuracy.ap == pytest.approx(expected)
    assert accuracy.per_class[0].objects == 1


def test_a_class_without_objects_is_nan_and_left_out_of_the_mean() -> None:
    data = Dataset(("bolt", "nut", "crowd"), (annotations((SQUARE, 0, False), ((0, 0, 9, 9), 2, True)),))
    accuracy = coco_accuracy(data, [found((SQUARE, 0, 0.9), ((50, 50, 80, 80), 1, 0.9))])
    assert accuracy.ap == pytest.approx(1)
    assert [one.objects for one in accuracy.per_class] == [1, 0, 0]
    close([one.ap for one in accuracy.per_class], [1, np.nan, np.nan])
    close([one.ap50 for one in accuracy.per_class], [1, np.nan, np.nan])
    assert np.isnan(accuracy.curves50[1:]).all()


def test_nothing_found_is_zero() -> None:
    data = Dataset(("bolt",), (annotations((SQUARE, 0, False)), annotations()))
    accuracy = coco_accuracy(data, [found(), found()])
    close(numbers(accuracy), [0, 0, 0, np.nan, np.nan, 0, 0])
    np.testing.assert_array_equal(accuracy.curves50, np.zeros((1, 101)))


@pytest.mark.parametrize("images", [(), (annotations(),), (annotations((SQUARE, 0, True)),)])
def test_without_an_object_that_counts_there_is_no_answer(images: tuple[ImageAnnotations, ...]) -> None:
    with pytest.raises(UsageError, match=f"{len(images)} images have no object that counts"):
        coco_accuracy(Dataset(("bolt",), images), [found() for _ in images])


def random_case(seed: int) -> tuple[Dataset, list[Detections]]:
    """Images with crowds and absent classes; detections with ties, duplicates, and over 100 of a class."""
    rng = np.random.default_rng(seed)
    images, detections = [], []
    for number in range(12):
        corners = rng.integers(0, 200, (rng.integers(0, 6), 2))
        boxes = np.concatenate([corners, corners + rng.integers(4, 190, corners.shape)], axis=1)
        objects: list[AnnotatedBox] = [
            ((*map(float, box),), int(rng.integers(3)), bool(rng.random() < 0.15))  # type: ignore[misc]
            for box in boxes
        ]
        images.append(annotations(*objects))
        repeats = np.repeat(boxes, 2, axis=0) + rng.integers(-9, 10, (2 * len(boxes), 4))
        noise = rng.integers(0, 200, (130 if number == 0 else 8, 2))
        both = np.concatenate([repeats, np.concatenate([noise, noise + 30], axis=1)])
        both[:, 2:] = np.maximum(both[:, 2:], both[:, :2] + 1)
        labels = rng.integers(0, 4, len(both)) if number else np.zeros(len(both), np.int64)
        labels[: 2 * len(boxes)] = np.repeat([label for _, label, _ in objects], 2)
        scores = np.round(rng.random(len(both)), 1)
        detections.append(Detections(both.astype(np.float32), scores.astype(np.float32), labels))
    return Dataset(("a", "b", "c", "never"), tuple(images)), detections


def plain_pycocotools(
    folder: Path, data: Dataset, detections: list[Detections]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """(12 numbers, precision) by way of two json files, as pycocotools' own example does it."""

    def shape(box: NDArray[Any]) -> dict[str, Any]:
        x1, y1, x2, y2 = map(float, box)
        return {"bbox": [x1, y1, x2 - x1, y2 - y1], "area": (x2 - x1) * (y2 - y1)}

    truths, results = [], []
    for number, (image, one) in enumerate(zip(data.images, detections, strict=True), start=1):
        for box, label, crowd in zip(image.boxes, image.labels, image.ignored, strict=True):
            keys = {"id": len(truths) + 1, "image_id": number, "category_id": int(label) + 1}
            truths.append({**keys, "iscrowd": int(crowd), **shape(box)})
        for box, score, label in zip(one.boxes, one.scores, one.labels, strict=True):
            keys = {"image_id": number, "category_id": int(label) + 1, "score": float(score)}
            results.append({**keys, "bbox": shape(box)["bbox"]})
    content = {
        "info": {},
        "images": [{"id": i + 1, "width": 400, "height": 400} for i in range(len(data.images))],
        "categories": [{"id": i + 1, "name": name} for i, name in enumerate(data.class_names)],
        "annotations": truths,
    }
    (folder / "truths.json").write_text(json.dumps(content), encoding="utf-8")
    (folder / "results.json").write_text(json.dumps(results), encoding="utf-8")
    coco = COCO(str(folder / "truths.json"))
    evaluation = COCOeval(coco, coco.loadRes(str(folder / "results.json")), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return evaluation.stats, evaluation.eval["precision"]


@pytest.mark.parametrize("seed", range(4))
def test_the_numbers_are_those_of_pycocotools_through_files(seed: int, tmp_path: Path) -> None:
    data, detections = random_case(seed)
    accuracy = coco_accuracy(data, detections)
    stats, precision = plain_pycocotools(tmp_path, data, detections)
    assert 0.05 < accuracy.ap < 0.95
    chosen = stats[[0, 1, 2, 3, 4, 5, 8]]
    np.testing.assert_array_equal(numbers(accuracy), np.where(chosen == -1, np.nan, chosen))
    for k, one in enumerate(accuracy.per_class[:3]):
        assert one.ap == pytest.approx(precision[:, :, k, 0, 2].mean(), abs=1e-12)
        assert one.ap50 == pytest.approx(precision[0, :, k, 0, 2].mean(), abs=1e-12)
        np.testing.assert_array_equal(accuracy.curves50[k], precision[0, :, k, 0, 2])
    assert (precision[:, :, 3] == -1).all()
    assert np.isnan(accuracy.per_class[3].ap)


def test_the_means_are_those_of_the_classes() -> None:
    accuracy = coco_accuracy(*random_case(9))
    assert accuracy.ap == pytest.approx(np.nanmean([one.ap for one in accuracy.per_class]))
    assert accuracy.ap50 == pytest.approx(np.nanmean(accuracy.curves50))


def test_nothing_is_printed_and_the_input_stays(capfd: pytest.CaptureFixture[str]) -> None:
    data, detections = random_case(0)
    before = [one.boxes.copy() for one in detections]
    coco_accuracy(data, detections)
    assert capfd.readouterr() == ("", "")
    for one, boxes in zip(detections, before, strict=True):
        np.testing.assert_array_equal(one.boxes, boxes)


def test_without_pycocotools_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pycocotools.cocoeval", None)
    data = Dataset(("bolt",), (annotations((SQUARE, 0, False)),))
    with pytest.raises(UsageError, match=r"needs pycocotools: pip install 'pocketdet\[accuracy\]'"):
        coco_accuracy(data, [found()])


def test_evaluation_imports_neither_networks_nor_its_own_tools_until_they_are_needed() -> None:
    heavy = ("torch", "ncnn", "pycocotools", "matplotlib", "pocketdet.models", "pocketdet.runtime")
    code = f"import sys, pocketdet.evaluation; print([m for m in {heavy} if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


GOOD = found((SQUARE, 0, 0.9))


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ([], "expected detections of 1 images, found 0"),
        ([GOOD, GOOD], "expected detections of 1 images, found 2"),
        ([Detections(GOOD.boxes[:, :3], GOOD.scores, GOOD.labels)], r"expected boxes of shape \(N, 4\)"),
        ([Detections(GOOD.boxes[0], GOOD.scores, GOOD.labels)], r"expected boxes of shape \(N, 4\)"),
        ([Detections(GOOD.boxes, GOOD.scores[:0], GOOD.labels)], r"1 boxes, but scores of shape \(0,\)"),
        ([Detections(GOOD.boxes, GOOD.scores, GOOD.labels[:0])], r"labels of shape \(0,\)"),
        ([Detections(GOOD.boxes, GOOD.scores[None], GOOD.labels)], r"scores of shape \(1, 1\)"),
        ([found((SQUARE, 1, 0.9))], "expected labels from 0 to 0, found 1 to 1"),
        ([found((SQUARE, -1, 0.9))], "expected labels from 0 to 0, found -1 to -1"),
        ([Detections(GOOD.boxes, GOOD.scores, GOOD.scores)], "expected integer labels, found float32"),  # type: ignore[arg-type]
        ([found((SQUARE, 0, np.nan))], "NaN or infinite"),
        ([found(((0, 0, np.inf, 9), 0, 0.9))], "NaN or infinite"),
        ([found(((0, np.nan, 9, 9), 0, 0.9))], "NaN or infinite"),
        ([found(((9, 0, 0, 9), 0, 0.9))], "ends before it starts"),
    ],
)
def test_detections_that_are_not_sound_are_refused(bad: list[Detections], message: str) -> None:
    data = Dataset(("bolt",), (annotations((SQUARE, 0, False)),))
    with pytest.raises(UsageError, match=message) as caught:
        coco_accuracy(data, bad)
    assert "x.jpg" in str(caught.value) or len(bad) != 1
