"""The detections of one image: what `Detector.detect` returns."""

import importlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import TYPE_CHECKING, Any, Self, overload

import cv2
import numpy as np
from numpy.typing import NDArray

from pocketdet.errors import UsageError
from pocketdet.runtime.draw import draw_detections
from pocketdet.runtime.images import ColorOrder, as_rgb

if TYPE_CHECKING:
    import supervision
    import torch

Index = slice | Sequence[int] | Sequence[bool] | NDArray[np.integer[Any]] | NDArray[np.bool_]


@dataclass(frozen=True)
class Detection:
    """One detection.

    Attributes:
        box: `(x1, y1, x2, y2)` in pixels of the input image.
        score: in [0, 1].
        label: class index from 0.
        name: class name.
    """

    box: tuple[float, float, float, float]
    score: float
    label: int
    name: str

    def to_dict(self) -> dict[str, Any]:
        """Return `{"name", "label", "score", "box": [x1, y1, x2, y2]}` of Python numbers."""
        return {"name": self.name, "label": self.label, "score": self.score, "box": list(self.box)}


@dataclass(frozen=True, eq=False, repr=False)
class Detections:
    """Detections of one image. Those of `Detector.detect` are sorted by score, best first.

    `len`, iteration and an integer index give each `Detection`. A slice, a boolean mask (N,) or an array of
    indices gives `Detections` in that order, with the times of the image. Two are equal if their boxes,
    scores, labels and class names are exactly equal; times are not compared.

    Args:
        boxes: (N, 4) float32, `(x1, y1, x2, y2)` in pixels of the input image.
        scores: (N,) float32 in [0, 1].
        labels: (N,) int32, class indices from 0.
        class_names: names of all classes of the detector, by label.
        milliseconds: wall time of each stage, by stage name.

    Raises:
        UsageError: if the arrays do not fit each other, or a label has no class name.

    Example:
        >>> found = detector.detect(image)
        >>> sure = found[found.scores > 0.5]
        >>> for detection in sure:
        ...     print(detection.name, detection.box)
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    labels: NDArray[np.int32]
    class_names: tuple[str, ...]
    milliseconds: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shapes = self.boxes.shape, self.scores.shape, self.labels.shape
        if shapes != ((len(self.boxes), 4), (len(self.boxes),), (len(self.boxes),)):
            raise UsageError(
                "expected boxes (N, 4), scores (N,) and labels (N,), "
                f"found {shapes[0]}, {shapes[1]} and {shapes[2]}"
            )
        labels = self.labels.tolist()  # min and max of a short list take less time than of an array
        if labels and not 0 <= min(labels) <= max(labels) < len(self.class_names):
            raise UsageError(
                f"expected labels from 0 to {len(self.class_names) - 1}, the number of class names less one, "
                f"found {min(labels)} to {max(labels)}"
            )

    @property
    def names(self) -> tuple[str, ...]:
        """Class name of each box."""
        return tuple(self.class_names[label] for label in self.labels)

    @property
    def total_milliseconds(self) -> float:
        """Wall time of all stages in milliseconds."""
        return sum(self.milliseconds.values())

    def __len__(self) -> int:
        return len(self.scores)

    def __iter__(self) -> Iterator[Detection]:
        return (self[i] for i in range(len(self)))

    @overload
    def __getitem__(self, index: int) -> Detection: ...

    @overload
    def __getitem__(self, index: Index) -> Self: ...

    def __getitem__(self, index: int | Index) -> Detection | Self:
        if isinstance(index, int | np.integer) and not isinstance(index, bool):
            x1, y1, x2, y2 = self.boxes[index].tolist()
            label = int(self.labels[index])
            return Detection((x1, y1, x2, y2), float(self.scores[index]), label, self.class_names[label])
        rows = index if isinstance(index, slice) else _rows(index)
        selected = self.boxes[rows], self.scores[rows], self.labels[rows]
        return type(self)(*selected, self.class_names, self.milliseconds)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Detections):
            return NotImplemented
        return self.class_names == other.class_names and all(
            np.array_equal(getattr(self, name), getattr(other, name))
            for name in ("boxes", "scores", "labels")
        )

    def __repr__(self) -> str:
        counts = [f"{count} {name}" for name, count in Counter(self.names).most_common()]
        shown = ", ".join(counts[:5] + ["..."] * (len(counts) > 5))
        return f"<{type(self).__name__} of {len(self)} objects{': ' * bool(counts)}{shown}>"

    def to_dict(self) -> dict[str, Any]:
        """Return the detections and times as Python lists and numbers.

        Returns:
            `{"detections": [...], "milliseconds": {...}}`, each detection as `Detection.to_dict`. It is part
            of each frame in the output of `pocketdet detect --json`.
        """
        return {
            "detections": [detection.to_dict() for detection in self],
            "milliseconds": dict(self.milliseconds),
        }

    def to_json(self, indent: int | None = None) -> str:
        """Return `to_dict()` as JSON text, on one line unless `indent` spaces are given."""
        return json.dumps(self.to_dict(), indent=indent)

    def draw(self, image: NDArray[Any], *, color: ColorOrder = "RGB") -> NDArray[np.uint8]:
        """Draw the detections on a copy of an image, the first ones on top.

        Args:
            image: any image that `Detector.detect` accepts.
            color: order of the channels of `image` and of the result, "RGB" or "BGR".

        Returns:
            (H, W, 3) uint8.

        Raises:
            ImageError: if the array is not an image.
        """
        drawn = draw_detections(as_rgb(image, color), self)
        return drawn if color == "RGB" else np.asarray(cv2.cvtColor(drawn, cv2.COLOR_RGB2BGR), np.uint8)

    def to_supervision(self) -> "supervision.Detections":
        """Return a copy as `supervision.Detections`, with the names as `data["class_name"]`.

        Raises:
            UsageError: if supervision is not installed.
        """
        return _installed("supervision").Detections(
            xyxy=self.boxes.copy(),
            confidence=self.scores.copy(),
            class_id=self.labels.astype(np.int64),
            data={"class_name": np.array(self.names, np.str_)},
        )

    @classmethod
    def from_supervision(cls, detections: "supervision.Detections", class_names: Sequence[str]) -> Self:
        """Make detections of `supervision.Detections`, in their order.

        Args:
            detections: with `confidence` and `class_id`; its masks and data are left out.
            class_names: names of all classes, by `class_id`.

        Raises:
            UsageError: if `confidence` or `class_id` is `None`, or a `class_id` has no name.
        """
        if detections.confidence is None or detections.class_id is None:
            raise UsageError("expected supervision.Detections with confidence and class_id, found None")
        return cls._of_any(detections.xyxy, detections.confidence, detections.class_id, class_names)

    def to_torchvision(self) -> "dict[str, torch.Tensor]":
        """Return a copy in the form of torchvision's detectors, on the CPU.

        Returns:
            `boxes` (N, 4) float32, `scores` (N,) float32 and `labels` (N,) int64, from 0 as here.
            torchvision's own detectors have the background at 0 and their first class at 1.

        Raises:
            UsageError: if torch is not installed.
        """
        from_numpy = _installed("torch").from_numpy
        return {
            "boxes": from_numpy(self.boxes.copy()),
            "scores": from_numpy(self.scores.copy()),
            "labels": from_numpy(self.labels.astype(np.int64)),
        }

    @classmethod
    def from_torchvision(
        cls, prediction: "Mapping[str, torch.Tensor | NDArray[Any]]", class_names: Sequence[str]
    ) -> Self:
        """Make detections of a prediction in the form of torchvision's detectors, in its order.

        Args:
            prediction: `boxes` (N, 4), `scores` (N,) and `labels` (N,) as tensors on any device, or arrays.
            class_names: names of all classes, by label. For torchvision's own detectors the first one is the
                background's.

        Raises:
            UsageError: if one of the three is missing, or a label has no name.
        """
        missing = {"boxes", "scores", "labels"} - set(prediction)
        if missing:
            raise UsageError(f"expected a prediction with boxes, scores and labels, found no {min(missing)}")
        return cls._of_any(prediction["boxes"], prediction["scores"], prediction["labels"], class_names)

    @classmethod
    def _of_any(cls, boxes: Any, scores: Any, labels: Any, class_names: Sequence[str]) -> Self:
        """Make detections of arrays or tensors, copied."""
        return cls(
            np.array(_as_numpy(boxes), np.float32),
            np.array(_as_numpy(scores), np.float32),
            np.array(_as_numpy(labels), np.int32),
            tuple(class_names),
        )


def _rows(index: Any) -> NDArray[np.integer[Any]] | NDArray[np.bool_]:
    """Return a mask or an array of indices as a vector. Raises `IndexError` for anything else."""
    rows = np.asarray(index)
    if rows.shape == (0,):  # an empty list has no integers to tell its type by
        rows = rows.astype(np.intp)
    if rows.ndim != 1 or rows.dtype.kind not in "iub":
        raise IndexError(
            "expected an integer, a slice, a mask (N,) or an array of indices, "
            f"found {type(index).__name__} of shape {rows.shape} and type {rows.dtype}"
        )
    return rows


def _as_numpy(values: Any) -> Any:
    """Return the values of a tensor on any device, or the array itself."""
    return values.detach().cpu().numpy() if hasattr(values, "detach") else values


def _installed(package: str) -> ModuleType:
    """Import a package that pocketdet does not depend on. Raises `UsageError` if it is not installed."""
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise UsageError(f"the conversion needs {package}: pip install {package}") from error
