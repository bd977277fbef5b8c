"""Checks of a description against the values of the outputs on some images."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from pocketdet.errors import UsageError
from pocketdet.export.reference.field_places import FieldPlace, depends_on_grid
from pocketdet.runtime.engines.base import Array
from pocketdet.spec.one_stage import Activation, OneStageSpec

_LARGEST_SCORE = 1.001
_BACKGROUND = 0.9  # the mean probability from which an element looks like the background


def check_samples(
    decode: OneStageSpec, places: Sequence[FieldPlace], samples: Sequence[Mapping[str, Array]]
) -> Iterator[str]:
    """Compare scores and boxes with the range that their description gives them.

    Args:
        decode: the description.
        places: its fields.
        samples: the outputs of some images by name, without a batch axis.

    Returns:
        A sentence for each setting that is unlikely.

    Raises:
        UsageError: if scores that are read without an activation are no probabilities.
    """
    scores = decode.scores
    if scores.class_power > 0:
        classes = _values(places, samples, "classes")
        yield from _check_scores(classes, scores.activation, "class scores", "scores.activation")
        yield from _check_background(decode, classes)
    if scores.objectness_power > 0:
        objectness = _values(places, samples, "objectness")
        activation, setting = scores.objectness_activation, "scores.objectness_activation"
        yield from _check_scores(objectness, activation, "objectness", setting)
    yield from _check_box_range(decode, _values(places, samples, "boxes"))


def _values(
    places: Sequence[FieldPlace], samples: Sequence[Mapping[str, Array]], kind: str
) -> NDArray[np.float32]:
    """The finite anchors of all levels and images: (anchors, elements); of the first coding."""
    rows = []
    for place in places:
        if place.kind == kind and place.coding == 0:
            elements = place.channels.shape[1]
            rows += [place.of(sample[place.field.output]).reshape(-1, elements) for sample in samples]
    values: NDArray[np.float32] = np.concatenate(rows)
    return np.asarray(values[np.isfinite(values).all(1)], np.float32)


def _check_scores(
    values: NDArray[np.float32], activation: Activation, what: str, setting: str
) -> Iterator[str]:
    if not values.size:
        return
    low, high = float(values.min()), float(values.max())
    probable = low >= 0 and high <= _LARGEST_SCORE
    if activation == "none" and not probable:
        raise UsageError(
            f'{setting} is "none", and the {what} of two images lie in {low:.3g} to {high:.3g}, which are no '
            f'probabilities: give {setting} = "sigmoid", or "softmax"'
        )
    if activation == "softmax" and values.shape[1] == 1:
        raise UsageError(
            f'{setting} is "softmax" over one value, which is always 1: describe the background, or '
            'give "sigmoid"'
        )
    if activation != "none" and probable and high > low:
        yield (
            f"{setting} is {activation!r}, and the {what} of two images lie in {low:.3g} to {high:.3g}, "
            'as if the graph had applied it: then give "none"'
        )


def _check_background(decode: OneStageSpec, classes: NDArray[np.float32]) -> Iterator[str]:
    """With probabilities that sum to 1, the background is likely nearly everywhere."""
    scores = decode.scores
    if classes.shape[1] < 2 or not len(classes):
        return
    values = classes.astype(np.float64)
    if scores.activation == "softmax":
        values = np.exp(values - values.max(1, keepdims=True))
        values /= values.sum(1, keepdims=True)
    elif scores.activation != "none" or np.abs(values.sum(1) - 1).max() > 1e-3:
        return
    ends = {"first": values[:, 0].mean(), "last": values[:, -1].mean()}
    likely = [end for end, mean in ends.items() if mean > _BACKGROUND]
    if likely and scores.background != likely[0]:
        yield (
            f"scores.background is {scores.background!r}, and the {likely[0]} class value has a mean "
            f"probability of {ends[likely[0]]:.2f} on two images, as a background has"
        )


def _check_box_range(decode: OneStageSpec, boxes: NDArray[np.float32]) -> Iterator[str]:
    """Boxes in the image are read in the unit that their range shows."""
    coding = decode.codings[0]
    if depends_on_grid(decode) or not boxes.size:
        return
    unit = coding.centre_unit if coding.encoding == "cxcywh" else coding.unit
    largest = float(np.abs(boxes).max()) * max(coding.multiplier)
    if unit == "pixel" and largest <= 2:
        yield f'boxes have unit "pixel", and none is above {largest:.3g}: values of 0 to 1 have unit "input"'
    if unit == "input" and largest > 20:
        yield f'boxes have unit "input", and the largest is {largest:.3g}: pixels have unit "pixel"'
