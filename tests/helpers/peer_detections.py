"""Detections of other projects' ONNX files on the photographs of ../shared, and how a bundle's differ."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray

from pocketdet.models.ops.resize import normalise, resize_geometry, resize_image
from pocketdet.runtime.bundle import load_bundle
from pocketdet.runtime.detector import Detector, DetectorOptions
from pocketdet.runtime.images import read_image

SHARED = Path(__file__).parents[3] / "shared" / "data"
PEERS = SHARED / "peers_onnx"
PHOTOS = SHARED / "coco_val_sample" / "images"
IOU = 0.9

Array = NDArray[np.float32]


@dataclass(frozen=True)
class PlainDetections:
    """One detection: its class, its score, its box (x1, y1, x2, y2) in pixels of the photograph."""

    label: int
    score: float
    box: tuple[float, float, float, float]


Detected = dict[str, list[PlainDetections]]  # by the file name of the photograph


@dataclass(frozen=True)
class Differences:
    """How the detections of two decoders differ.

    Attributes:
        expected: how many there should be.
        matched: those of them with a counterpart of the same label and IoU >= 0.9.
        missing, extra: detections without a counterpart that no threshold excuses.
    """

    expected: int
    matched: int
    missing: int
    extra: int


def read_expected(model: Path) -> tuple[Detected, float, float]:
    """The detections of an independent decoder, their score threshold and the IoU of their NMS."""
    content = json.loads(model.with_suffix(".expected.json").read_text(encoding="utf-8"))
    detected = {
        name: [PlainDetections(each["label"], each["score"], tuple(each["box"])) for each in found]
        for name, found in content["detections"].items()
    }
    return detected, float(content["score_threshold"]), float(content["nms_iou"])


def run_bundle(bundle: Path, photos: Iterable[str], threshold: float) -> Detected:
    """The detections of a bundle above a threshold."""
    with (
        load_bundle(bundle) as loaded,
        Detector(loaded, DetectorOptions(score_threshold=threshold), engine="ncnn") as detector,
    ):
        found: Detected = {}
        for name in photos:
            result = detector.detect(read_image(PHOTOS / name))
            each = zip(result.labels.tolist(), result.scores.tolist(), result.boxes.tolist(), strict=True)
            found[name] = [PlainDetections(label, score, tuple(box)) for label, score, box in each]
    return found


def differences(
    expected: Detected, found: Detected, threshold: float, band: float = 0.01, nms_iou: float | None = None
) -> Differences:
    """Match detections one to one, best first.

    Those within `band` of the threshold need no counterpart; nor do those whose IoU with a better one of
    their label is within 0.005 of `nms_iou`, since rounding decides whether they are suppressed.
    """
    matched = missing = extra = 0
    for name, wanted in expected.items():
        got = found[name]
        pairs = _matched(wanted, got)
        matched += len(pairs)
        alone = [one for i, one in enumerate(wanted) if i not in pairs]
        missing += sum(
            one.score > threshold + band and not _on_edge(one, wanted + got, nms_iou) for one in alone
        )
        more = [one for j, one in enumerate(got) if j not in pairs.values()]
        extra += sum(
            one.score > threshold + band and not _on_edge(one, got + wanted, nms_iou) for one in more
        )
    return Differences(sum(map(len, expected.values())), matched, missing, extra)


def _on_edge(one: PlainDetections, others: Sequence[PlainDetections], nms_iou: float | None) -> bool:
    """Whether NMS keeps or drops a detection by less than 0.005 of IoU."""
    return nms_iou is not None and any(
        abs(iou(one.box, other.box) - nms_iou) < 0.005
        for other in others
        if other.label == one.label and other.score > one.score
    )


def _matched(wanted: Sequence[PlainDetections], found: Sequence[PlainDetections]) -> dict[int, int]:
    """Indices of `wanted` -> indices of `found`."""
    pairs: dict[int, int] = {}
    for i, one in enumerate(wanted):
        free = [
            (iou(one.box, other.box), -j)
            for j, other in enumerate(found)
            if other.label == one.label and j not in pairs.values()
        ]
        best = max(free, default=(0.0, 0))
        if best[0] >= IOU:
            pairs[i] = -best[1]
    return pairs


def iou(a: Sequence[float], b: Sequence[float]) -> float:
    """Intersection over union of two boxes."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    shared = max(0.0, width) * max(0.0, height)
    areas = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    return shared / (areas - shared) if areas > shared else 0.0


def decoded_in_the_file(model: Path, photos: Iterable[str], threshold: float) -> Detected:
    """What an Ultralytics file says itself: its decoded boxes and scores above a threshold, not suppressed.

    Letterboxed to the file's input with grey, as the package does; boxes are clipped to the photograph.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    side = session.get_inputs()[0].shape[2]
    return {name: _decode(session, read_image(PHOTOS / name), int(side), threshold) for name in photos}


def _decode(
    session: onnxruntime.InferenceSession, image: NDArray[np.uint8], side: int, threshold: float
) -> list[PlainDetections]:
    placement = resize_geometry(image.shape[:2], (side, side), "letterbox")
    resized = resize_image(torch.from_numpy(image), (side, side), "letterbox", "RGB", (114, 114, 114))
    source = normalise(resized, (0, 0, 0), (255, 255, 255))[None].numpy()
    output = session.run(None, {session.get_inputs()[0].name: source})[0][0]
    if output.shape[1] == 6:  # end to end: corners, score, label
        boxes, scores, labels = output[:, :4], output[:, 4], output[:, 5].astype(int)
    else:
        centre, half = output[:2].T, output[2:4].T / 2
        boxes = np.concatenate([centre - half, centre + half], axis=1)
        scores, labels = output[4:].max(axis=0), output[4:].argmax(axis=0)
    height, width = image.shape[:2]
    scale = np.array([width / placement.width, height / placement.height] * 2)
    boxes = (boxes - np.array([placement.x0, placement.y0] * 2)) * scale
    boxes = np.clip(boxes, 0, [width, height, width, height])
    order = np.argsort(-scores, kind="stable")
    return [
        PlainDetections(int(labels[i]), float(scores[i]), tuple(boxes[i].tolist()))
        for i in order
        if scores[i] > threshold
    ]
