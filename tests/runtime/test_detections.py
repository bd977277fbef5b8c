"""`Detections`: selection, equality, JSON, drawing, and the forms of other libraries."""

import copy
import json
import pickle
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pocketdet.errors import ImageError, UsageError
from pocketdet.runtime.detections import Detection, Detections
from pocketdet.runtime.draw import draw_detections

NAMES = ("bolt", "nut", "washer")


def some(count: int = 5, seed: int = 0) -> Detections:
    rng = np.random.default_rng(seed)
    corners = rng.uniform(0, 50, (count, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(5, 40, (count, 2))], axis=1).astype(np.float32)
    scores = np.sort(rng.uniform(0, 1, count).astype(np.float32))[::-1]
    return Detections(boxes, scores, rng.integers(0, 3, count, np.int32), NAMES, {"model": 2.0, "boxes": 0.5})


def same(ours: Detections, boxes: Any, scores: Any, labels: Any) -> bool:
    arrays = ((ours.boxes, boxes), (ours.scores, scores), (ours.labels, labels))
    return all(np.array_equal(one, other) and one.dtype == other.dtype for one, other in arrays)


@given(count=st.integers(0, 8), data=st.data())
def test_iteration_and_integers_give_each_detection(count: int, data: st.DataObject) -> None:
    found = some(count)
    listed = list(found)
    assert len(found) == len(listed) == count
    assert bool(found) == bool(count)
    for i, one in enumerate(listed):
        assert one == found[i] == found[np.int64(i)] == found[i - count]
        assert one == Detection(
            tuple(found.boxes[i].tolist()), float(found.scores[i]), int(found.labels[i]), found.names[i]
        )
        assert one.name == NAMES[one.label]
    outside = data.draw(st.integers(count, 99) | st.integers(-99, -count - 1))
    with pytest.raises(IndexError):
        found[outside]


@given(count=st.integers(0, 8), data=st.data())
def test_slices_masks_and_indices_select_rows(count: int, data: st.DataObject) -> None:
    found = some(count)
    indices = data.draw(st.lists(st.integers(-count, count - 1), max_size=12) if count else st.just([]))
    mask = data.draw(st.lists(st.booleans(), min_size=count, max_size=count))
    rows = data.draw(st.slices(count))
    as_arrays = np.array(indices, np.int64), np.array(mask, bool)
    for index in (rows, *as_arrays, indices, mask):
        part = found[index]
        array = (
            index
            if isinstance(index, slice | np.ndarray)
            else np.array(index, type(index[0]) if index else int)
        )
        assert same(part, found.boxes[array], found.scores[array], found.labels[array])
        assert part.class_names == NAMES
        assert part.milliseconds == found.milliseconds
        assert part.names == tuple(NAMES[i] for i in part.labels)


@pytest.mark.parametrize(
    "index", ["1", 1.0, None, True, [1.0], (slice(2), 1), np.ones((5, 4), bool), np.True_, [True] * 4, [9]]
)
def test_other_indices_are_refused(index: Any) -> None:
    with pytest.raises((IndexError, ValueError)):
        some()[index]


def test_equality_is_exact_and_leaves_out_times() -> None:
    found = some()
    assert found == some()
    assert found == Detections(found.boxes, found.scores, found.labels, NAMES)
    assert found != found[:4]
    assert found != found[::-1]
    assert found != some(seed=1)
    assert found != Detections(found.boxes, found.scores, found.labels, ("screw", *NAMES[1:]))
    assert found != Detections(np.nextafter(found.boxes, 0), found.scores, found.labels, NAMES)
    assert found != "detections"
    assert some(0) == found[:0]
    assert copy.deepcopy(found) == pickle.loads(pickle.dumps(found)) == found
    with pytest.raises(TypeError, match="unhashable"):
        hash(found)


def test_arrays_that_do_not_fit_are_refused() -> None:
    boxes, scores, labels = some().boxes, some().scores, some().labels
    for arrays in ((boxes[:4], scores, labels), (boxes, scores[:4], labels), (boxes.T, scores, labels)):
        with pytest.raises(UsageError, match=r"expected boxes \(N, 4\), scores \(N,\) and labels"):
            Detections(*arrays, NAMES)
    for wrong in (labels + 3, labels - 3):
        with pytest.raises(UsageError, match="expected labels from 0 to 2"):
            Detections(boxes, scores, wrong, NAMES)


def test_the_text_of_a_result_is_short() -> None:
    assert repr(some(0)) == "<Detections of 0 objects>"
    names = tuple(f"class {i}" for i in range(80))
    labels = np.array([7, 7, 7, 1, 1, *range(10, 60)], np.int32)
    boxes, scores = np.zeros((55, 4), np.float32), np.zeros(55, np.float32)
    text = repr(Detections(boxes, scores, labels, names))
    assert text.startswith("<Detections of 55 objects: 3 class 7, 2 class 1, ")
    assert len(text) < 120


def test_json_holds_every_value() -> None:
    found = some()
    document = json.loads(found.to_json())
    assert document == found.to_dict() == json.loads(found.to_json(indent=2))
    assert list(document) == ["detections", "milliseconds"]
    assert document["milliseconds"] == {"model": 2.0, "boxes": 0.5}
    for one, record in zip(found, document["detections"], strict=True):
        assert record == one.to_dict()
        assert list(record) == ["name", "label", "score", "box"]
    again = [
        np.array([record[key] for record in document["detections"]]) for key in ("box", "score", "label")
    ]
    assert np.array_equal(again[0].astype(np.float32), found.boxes)
    assert np.array_equal(again[1].astype(np.float32), found.scores)
    assert np.array_equal(again[2], found.labels)


def test_draw_takes_any_image_and_keeps_the_order_of_its_channels() -> None:
    found, image = some(), np.random.default_rng(4).integers(0, 256, (90, 120, 3), np.uint8)
    before = image.copy()
    drawn = found.draw(image)
    assert np.array_equal(drawn, draw_detections(image, found))
    assert np.array_equal(found.draw(image[..., ::-1], color="BGR"), drawn[..., ::-1])
    assert np.array_equal(image, before)
    assert found.draw(image[..., 0]).shape == image.shape
    with pytest.raises(ImageError, match="expected an image"):
        found.draw(image.astype(np.float32))
    with pytest.raises(UsageError, match="color='HSV': expected RGB or BGR"):
        found.draw(image, color="HSV")  # type: ignore[arg-type]


class SupervisionDetections:
    """The constructor and attributes of `supervision.Detections` (0.31) that are used."""

    def __init__(
        self,
        xyxy: NDArray[Any],
        confidence: NDArray[Any] | None = None,
        class_id: NDArray[Any] | None = None,
        data: dict[str, Any] | None = None,
    ) -> None:
        self.xyxy, self.confidence, self.class_id, self.data = xyxy, confidence, class_id, data


def test_supervision_there_and_back(monkeypatch: pytest.MonkeyPatch) -> None:
    package = ModuleType("supervision")
    package.Detections = SupervisionDetections  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "supervision", package)
    for found in (some(), some(0)):
        theirs = found.to_supervision()
        assert theirs.data["class_name"].tolist() == list(found.names)
        theirs.xyxy[:] += 0  # a copy: theirs may be changed
        assert Detections.from_supervision(theirs, NAMES) == found
    with pytest.raises(UsageError, match="with confidence and class_id, found None"):
        Detections.from_supervision(SimpleNamespace(xyxy=0, confidence=None, class_id=None), NAMES)  # type: ignore[arg-type]


def test_torchvision_there_and_back() -> None:
    for found in (some(), some(0)):
        theirs = found.to_torchvision()
        assert {name: value.dtype for name, value in theirs.items()} == {
            "boxes": torch.float32,
            "scores": torch.float32,
            "labels": torch.int64,
        }
        assert Detections.from_torchvision(theirs, NAMES) == found
        theirs["boxes"].requires_grad_()
        assert Detections.from_torchvision(theirs, NAMES) == found
        arrays = {"boxes": found.boxes, "scores": found.scores, "labels": found.labels}
        again = Detections.from_torchvision(arrays, list(NAMES))
        assert again == found
        assert not np.shares_memory(again.boxes, found.boxes)
    with pytest.raises(UsageError, match="boxes, scores and labels, found no scores"):
        Detections.from_torchvision({"boxes": found.boxes, "labels": found.labels}, NAMES)
    with pytest.raises(UsageError, match="expected labels from 0 to 0"):
        Detections.from_torchvision(some().to_torchvision(), ["bolt"])


@pytest.mark.parametrize("package", ["supervision", "torch"])
def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    convert = some().to_torchvision if package == "torch" else some().to_supervision
    with pytest.raises(UsageError, match=f"the conversion needs {package}: pip install {package}"):
        convert()
