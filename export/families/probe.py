"""Run a file once to see whether a description of its inner tensors decodes to the boxes that it computes."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from pocketdet.export.onnx_graph.session import run, session, with_outputs
from pocketdet.export.onnx_graph.summary import OnnxSummary
from pocketdet.models.ops.one_stage_decode import one_stage_decode
from pocketdet.spec.one_stage import OneStageSpec, Selection

Array = NDArray[np.float32]
# float32 sums in another order: pixels, and a share of the box's size; scores
PIXELS, RELATIVE, SCORE = 0.02, 1e-3, 1e-4


def run_on_noise(model: OnnxSummary, names: Iterable[str]) -> dict[str, Array]:
    """Compute tensors for an image of random values between 0 and 1.

    Args:
        model: the file.
        names: outputs or inner tensors of `model.model`.

    Returns:
        The tensors by name, without the batch axis.

    Raises:
        EngineError: if onnxruntime cannot run the file.
        UsageError: if onnxruntime refuses the file, or the size of its input is not known.
    """
    wanted = list(dict.fromkeys(names))
    assert model.input_size is not None  # `model.model` refuses it
    image = np.random.default_rng(0).random(model.image.shape(model.input_size), np.float32)
    runner = session(with_outputs(model.model, wanted), str(model.path))
    values = run(runner, wanted, {model.image.name: image}, str(model.path))
    return {name: value[0] for name, value in values.items()}


def decodes_to(spec: OneStageSpec, outputs: Mapping[str, Array], boxes: Array, scores: Array) -> bool:
    """Whether a specification decodes to known boxes and scores.

    The strongest class of up to 10,000 anchors is compared, of all levels alike; nothing is suppressed.

    Args:
        spec: of the tensors in `outputs`.
        outputs: by name, without the batch axis.
        boxes: (anchors, 4) corners in pixels of the network's input, in the order of the specification.
        scores: (anchors, classes).
    """
    every = Selection(
        score_threshold=0.0,
        best_class_only=True,
        top_n_per_level=10_000 // len(spec.levels),
        clip=False,
        nms="none",
        max_detections=10_000,
    )
    found = one_stage_decode(
        replace(spec, selection=every), {name: torch.from_numpy(value) for name, value in outputs.items()}
    )
    anchor, label = found.anchors.numpy(), found.labels.numpy()
    expected = boxes[anchor]
    sides = (expected[:, 2:] - expected[:, :2]).max(axis=1, initial=0, keepdims=True)
    same_boxes = np.abs(found.boxes.numpy() - expected) <= PIXELS + RELATIVE * np.abs(sides)
    same_scores = np.abs(found.scores.numpy() - scores[anchor, label]) <= SCORE
    # an anchor that is absent has an empty box, or is beyond the limits
    absent = np.setdiff1d(np.arange(len(boxes)), anchor)
    empty = ((boxes[absent, 2:] - boxes[absent, :2]) <= PIXELS).any(axis=1)
    limited = len(boxes) > every.max_detections // len(spec.levels)
    return bool(len(anchor) > 0 and same_boxes.all() and same_scores.all() and (limited or empty.all()))


def corners(boxes: Array) -> Array:
    """(n, 4) centre, width, height -> corners."""
    half = boxes[:, 2:] / 2
    return np.concatenate([boxes[:, :2] - half, boxes[:, :2] + half], axis=1, dtype=np.float32)
