"""The golden image and its threshold: stable detections on every level, or a mark that is no tick."""

import copy
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pocketdet.datasets.standard_frames import standard_frame
from pocketdet.export.golden import ENOUGH, GoldenChoice, Trial, choose_golden
from pocketdet.export.reference.base import Identity, synthetic_image
from pocketdet.export.reference.onnx_reference import OnnxReference
from pocketdet.export.reference.two_stage import TwoStageReference
from pocketdet.models.config import Preprocessing
from pocketdet.models.thundernet import ThunderNet
from pocketdet.runtime.parity import TOLERANCES
from pocketdet.spec.one_stage import Level, OneStageSpec, OutputField, Scores, Selection, XyxyCoding

FP32, INT8 = TOLERANCES["fp32"], TOLERANCES["int8"]
SIZE = (64, 64)
Outputs = Mapping[str, NDArray[np.float32]]


def spec(**selection: Any) -> OneStageSpec:
    """Two levels of 8 and 4 rows: four corners and the probability of one class."""
    levels = tuple(
        Level(
            (1, count),
            8,
            ((8.0, 8.0),),
            OutputField("rows", "rows", first=4, first_row=first),
            (OutputField("rows", "rows", first_row=first),),
        )
        for count, first in ((8, 0), (4, 8))
    )
    chosen = Selection(**{"score_threshold": 0.5, "nms_iou": 0.5, **selection})
    return OneStageSpec(SIZE, 1, levels, (XyxyCoding(),), Scores(activation="none"), chosen)


def rows(*scores: float) -> NDArray[np.float32]:
    """Twelve boxes that do not overlap, with these scores."""
    found = np.zeros((12, 5), np.float32)
    for i, score in enumerate(scores):
        x, y = 16.0 * (i % 4), 16.0 * (i // 4)
        found[i] = x, y, x + 10, y + 10, score
    return found


class Scripted:
    """A network that returns `rows` for an image, by the number of the call."""

    def __init__(self, *outputs: NDArray[np.float32]) -> None:
        self._outputs = iter(outputs)

    def run(self, source: NDArray[np.float32]) -> Outputs:
        return {"rows": next(self._outputs)}


def reference(*outputs: NDArray[np.float32], **selection: Any) -> OnnxReference:
    identity = Identity("scripted", ("bolt",), SIZE, Preprocessing())
    return OnnxReference(Scripted(*outputs), identity, spec(**selection))  # type: ignore[arg-type]


def images() -> Iterator[NDArray[np.uint8]]:
    return (synthetic_image(SIZE, seed) for seed in range(100))


HIGH = (0.9, 0.8, 0.7, 0.6, 0.55, 0.1, 0.1, 0.1)


def test_the_detectors_own_threshold_is_kept_if_every_level_detects() -> None:
    choice = choose_golden(reference(rows(*HIGH, 0.9, 0.6, 0.1, 0.1)), images(), FP32)
    assert (choice.score_threshold, choice.found, choice.silent) == (None, (5, 2), ())
    assert choice.line() == "-[✓] golden image: 7 detections on 2 levels (5, 2)"


def test_the_threshold_is_lowered_until_every_level_detects() -> None:
    choice = choose_golden(reference(rows(*HIGH, 0.03, 0.01, 0.001, 0.0001)), images(), FP32)
    assert choice.score_threshold is not None
    assert 0.0001 < choice.score_threshold < 0.03
    assert choice.found[0] == 8
    assert choice.found[1] >= 1
    assert f"at score threshold {choice.score_threshold:g}" in choice.line()


def test_a_detector_without_any_detection_gets_some() -> None:
    choice = choose_golden(reference(rows(*(0.01 * (i + 1) for i in range(12)))), images(), FP32)
    assert choice.score_threshold is not None
    assert choice.detections >= ENOUGH
    assert not choice.silent


def test_a_level_that_never_fires_is_not_waited_for() -> None:
    choice = choose_golden(reference(rows(*HIGH, 0, 0, 0, 0)), images(), FP32)
    assert (choice.score_threshold, choice.can_fire, choice.silent) == (None, (True, False), ())


def test_an_image_with_detections_is_searched_for() -> None:
    choice = choose_golden(reference(rows(), rows(), rows(*HIGH, 0.9, 0.9)), images(), FP32)
    np.testing.assert_array_equal(choice.image, synthetic_image(SIZE, 2))
    assert choice.found == (5, 2)


def test_what_never_fires_is_not_proved() -> None:
    choice = choose_golden(reference(*[rows()] * 8), images(), FP32)
    assert choice.detections == 0
    assert choice.line().startswith("-[?] golden image: the detector finds nothing on it")
    silent = GoldenChoice(choice.image, 0.1, (4, 0), (True, True))
    assert silent.line().startswith("-[?]")
    assert silent.line().endswith("not proved: level 2")


def test_the_limit_of_detections_leaves_the_weaker_level_out() -> None:
    """With at most five detections, the second level cannot be among them: nothing is claimed about it."""
    found = reference(*[rows(*HIGH, 0.03, 0.02, 0.01, 0.01)] * 8, max_detections=5)
    choice = choose_golden(found, images(), FP32)
    assert (choice.score_threshold, choice.silent) == (None, (2,))


def overlapping(iou: float) -> NDArray[np.float32]:
    """Seven boxes, two of which overlap by `iou`."""
    found = rows(*HIGH[:5], 0, 0, 0, 0.9, 0.8)
    found[9, :4] = found[8, :4]
    found[9, 3] = found[8, 1] + 10 * iou
    return found


def test_detections_that_rounding_would_change_are_not_chosen() -> None:
    trial = Trial(reference(overlapping(0.50005), nms_iou=0.5), synthetic_image(SIZE), FP32)
    assert not trial.at(None).is_stable
    assert Trial(reference(overlapping(0.4)), synthetic_image(SIZE), FP32).at(None).is_stable
    close = rows(*HIGH[:5], 0, 0, 0, 0.5 + 1e-7, 0.8)
    assert not Trial(reference(close), synthetic_image(SIZE), FP32).at(None).is_stable
    choice = choose_golden(reference(overlapping(0.50005), overlapping(0.4)), images(), FP32)
    np.testing.assert_array_equal(choice.image, synthetic_image(SIZE, 1))


def test_int8_lowers_the_threshold_only_if_nothing_is_detected() -> None:
    some = rows(0.9, 0.8, 0, 0, 0, 0, 0, 0, 0.03, 0.01)
    choice = choose_golden(reference(*[some] * 8), images(), INT8, every_level=False)
    assert (choice.score_threshold, choice.found) == (None, (2, 0))
    low = rows(*(0.01 * (i + 1) for i in range(12)))
    choice = choose_golden(reference(*[low] * 8), images(), INT8, every_level=False)
    assert choice.score_threshold is not None
    assert choice.detections > 0


@pytest.mark.parametrize("seed", range(5))
def test_a_lowered_threshold_lies_between_scores(seed: int) -> None:
    scores = np.random.default_rng(seed).uniform(0, 0.4, 12)
    trial = Trial(reference(rows(*scores)), synthetic_image(SIZE), FP32)
    thresholds = trial.lower_thresholds()
    assert thresholds == sorted(thresholds, reverse=True)
    assert thresholds
    for threshold in thresholds:
        assert np.abs(scores - threshold).min() > 1e-4
        assert trial.at(threshold).detections == int((scores > threshold).sum())


def test_two_stages_take_the_first_image_that_fills_the_head(small_model: ThunderNet) -> None:
    model = copy.copy(small_model)

    def keeping(most: int) -> TwoStageReference:
        model.config = replace(
            small_model.config, proposals=replace(small_model.config.proposals, post_nms_top_n=most)
        )
        return TwoStageReference(model)

    tried = [synthetic_image(SIZE, 0), standard_frame(0), standard_frame(1)]
    counts = [len(keeping(10_000).stages(image)["proposal_boxes"]) for image in tried]
    best = int(np.argmax(counts))
    for most, chosen in ((counts[0], 0), (max(counts), best), (max(counts) + 1, best)):
        choice = choose_golden(keeping(most), iter(tried), FP32)
        assert choice.score_threshold is None
        np.testing.assert_array_equal(choice.image, tried[chosen])
        assert (choice.rois, choice.most_rois) == (min(counts[chosen], most), most)
        mark = "✓" if max(counts) >= most else "i"
        assert choice.line() == f"-[{mark}] golden image: {choice.rois} of {most} RoIs"
