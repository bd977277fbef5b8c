"""The choice of golden data: an image and a score threshold at which every level of the detector detects.

Decoding and suppression are compared on detections, and on an image without detections nothing is compared. A
detector that was trained on photographs detects nothing above its own threshold on a synthetic image, so the
golden test may have a lower threshold of its own. The detections must also be stable: rounding errors of the
network's outputs must not move one across the threshold or change a suppression.

The head of a two-stage detector is compared on its RoIs, so its golden image is one with as many as it keeps.

The finished bundle is compared with the reference on several images (`compare_on_images`). It runs its own
network, decoder and suppression (C++). The reference runs the original network and an independent decoder
(`models/ops/one_stage_decode.py`). An int8 network differs from the original by more than a decoder does, so
the independent decoder then reads the outputs of the bundle's own network.
"""

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from pocketdet.export.reference.base import Image, Reference
from pocketdet.export.reference.one_stage import OneStageReference
from pocketdet.export.reference.two_stage import TwoStageReference
from pocketdet.runtime import _core
from pocketdet.runtime.detector import Detector
from pocketdet.runtime.engines.base import Array
from pocketdet.runtime.output_fields import output_regions
from pocketdet.runtime.parity import TOLERANCES, Check, Tolerances, compare_detections
from pocketdet.runtime.pipeline import Boxes, OneStagePipeline, Stopwatch
from pocketdet.runtime.verification import tolerances_for
from pocketdet.spec.one_stage import OneStageSpec

AnyReference = TypeVar("AnyReference", bound=Reference)

ENOUGH = 5  # detections
MOST_IMAGES = 8
DEPTHS = (1, 3, 10, 30, 100)  # candidates of the level that has the lowest scores
NEXT = 20  # candidates below these that the threshold may lie between
NOISE = 1 / 30  # of the tolerance of outputs: more than the difference that is usual
LEAST_NOISE = 2.0**-23  # of a probability: engines compute a sigmoid to about 1e-7
SEEDS = range(6)


@dataclass(frozen=True)
class GoldenChoice:
    """An image, the score threshold to compare detections at, and what is detected there.

    Attributes:
        image: RGB (H, W, 3) uint8.
        score_threshold: `None` for the detector's own.
        found: detections of each level.
        can_fire: whether each level has a score above 0.
        is_stable: whether rounding errors of the outputs leave the detections as they are.
        rois: RoIs of a two-stage detector in the image; `None` for one stage.
        most_rois: RoIs that the detector keeps at most.
    """

    image: Image
    score_threshold: float | None = None
    found: tuple[int, ...] = ()
    can_fire: tuple[bool, ...] = ()
    is_stable: bool = True
    rois: int | None = None
    most_rois: int = 0

    @property
    def detections(self) -> int:
        """Detections of all levels."""
        return sum(self.found)

    @property
    def silent(self) -> tuple[int, ...]:
        """The levels, from 1, that can fire and detect nothing."""
        levels = enumerate(zip(self.found, self.can_fire, strict=True), 1)
        return tuple(number for number, (count, fires) in levels if fires and not count)

    @property
    def rank(self) -> tuple[bool, int, int]:
        """How much it proves, the larger the better; nothing if rounding decides about its detections."""
        if not self.is_stable:
            return False, 0, 0
        levels = sum(count > 0 for count in self.found)
        return self.detections > 0, levels, min(self.detections, ENOUGH)

    def applied_to(self, reference: AnyReference) -> AnyReference:
        """Return a reference that decodes at the threshold of the choice."""
        if self.score_threshold is None:
            return reference
        return reference.with_postprocessing(score=self.score_threshold)

    def line(self) -> str:
        """A line of the log; a mark other than a tick if something is not proved."""
        if self.rois is not None:
            mark = "✓" if self.rois >= self.most_rois else "i"
            return f"-[{mark}] golden image: {self.rois} of {self.most_rois} RoIs"
        if not self.detections:
            return (
                "-[?] golden image: the detector finds nothing on it, so decoding and suppression are not "
                "proved: choose an image with --golden"
            )
        at = "" if self.score_threshold is None else f" at score threshold {self.score_threshold:g}"
        levels = f" on {len(self.found)} levels ({', '.join(map(str, self.found))})" * (len(self.found) > 1)
        if not self.silent:
            return f"-[✓] golden image: {self.detections} detections{at}{levels}"
        silent = ", ".join(map(str, self.silent))
        return f"-[?] golden image: {self.detections} detections{at}{levels}; not proved: level {silent}"


def choose_golden(
    reference: Reference, images: Iterable[Image], tol: Tolerances, *, every_level: bool = True
) -> GoldenChoice:
    """Choose the image and the score threshold of a golden test.

    The first image and threshold at which at least 5 stable detections come from all levels that can fire;
    else those that prove most. A detector with two stages takes the first image with as many RoIs as it
    keeps, else the one with the most, at its own threshold.

    Args:
        reference: the detector.
        images: RGB (H, W, 3) uint8, the preferred one first; 8 are tried.
        tol: tolerances of the arithmetic that the bundle runs in.
        every_level: whether the threshold is lowered until every level detects. If not, it is lowered only if
            nothing is detected on any of the images: the noise of int8 exceeds small scores.
    """
    tried = islice(images, MOST_IMAGES)
    if isinstance(reference, TwoStageReference):
        return _with_most_rois(reference, tried)
    assert isinstance(reference, OneStageReference)
    trials = (Trial(reference, image, tol) for image in tried)
    if every_level:
        pairs = ((t, threshold) for t in trials for threshold in (None, *t.lower_thresholds()))
        return _best((t.at(threshold) for t, threshold in pairs), every_level=True)
    kept = list(trials)
    own = _best((trial.at(None) for trial in kept), every_level=False)
    if own.rank > GoldenChoice(own.image).rank:
        return own
    lowered = (trial.at(threshold) for trial in kept for threshold in trial.lower_thresholds())
    return _best(chain([own], lowered), every_level=False)


def _with_most_rois(reference: TwoStageReference, images: Iterable[Image]) -> GoldenChoice:
    most = reference.model.config.proposals.post_nms_top_n
    best: GoldenChoice | None = None
    for image in images:
        found = len(reference.stages(image)["proposal_boxes"])
        if best is None or found > (best.rois or 0):
            best = GoldenChoice(image, rois=found, most_rois=most)
        if found >= most:
            break
    assert best is not None
    return best


def _best(choices: Iterable[GoldenChoice], *, every_level: bool) -> GoldenChoice:
    """The first choice that is enough, else the one that proves most."""
    best: GoldenChoice | None = None
    for choice in choices:
        if best is None or choice.rank > best.rank:
            best = choice
        if choice.is_stable and choice.detections >= ENOUGH and not (every_level and choice.silent):
            return choice
    assert best is not None
    return best


class Trial:
    """The detections of one image at different thresholds."""

    def __init__(self, reference: OneStageReference, image: Image, tol: Tolerances) -> None:
        self.image, self.spec = image, reference.decode
        # which detections there are, not how far they move
        self._tol = replace(tol, box_pixels=10 * tol.box_pixels, score=10 * tol.score, lost=tol.lost / 2)
        maps = reference.raw(reference.preprocess(image)[1])
        self._outputs = {name: np.ascontiguousarray(maps[name]) for name in self.spec.outputs}

    @functools.cached_property
    def _scores(self) -> Sequence[Array]:
        """The scores of the candidates of each level alone, best first; 10,000 at most."""
        everything = replace(
            self.spec.selection,
            score_threshold=0.0,
            nms="none",
            top_n=None,
            top_n_per_level=None,
            max_detections=10_000,
        )
        specs = [replace(self.spec, levels=(level,), selection=everything) for level in self.spec.levels]
        return [_decode(spec, self._outputs)[1] for spec in specs]

    def lower_thresholds(self) -> list[float]:
        """Thresholds below the detector's own, descending, each in a gap between the scores of candidates."""
        firing = [scores for scores in self._scores if len(scores)]
        if not firing:
            return []
        every = np.sort(np.concatenate(firing))[::-1]
        depths = [min(float(s[min(depth, len(s)) - 1]) for s in firing) for depth in DEPTHS]
        depths += [float(every[min(depth, len(every)) - 1]) for depth in (ENOUGH, 4 * ENOUGH)]
        found = {_gap_below(every, score) for score in depths}
        most = NEXT * self.spec.selection.max_detections  # of more, the best alone fill the limit
        own = self.spec.selection.score_threshold
        return sorted((t for t in found if t < own and int((every > t).sum()) <= most), reverse=True)

    def at(self, threshold: float | None) -> GoldenChoice:
        """What is detected at a threshold; `None` for the detector's own."""
        spec = self.spec
        if threshold is not None:
            spec = replace(spec, selection=replace(spec.selection, score_threshold=threshold))
        boxes, scores, labels, anchors = _decode(spec, self._outputs)
        ends = np.cumsum([level.count for level in spec.levels])
        levels = np.searchsorted(ends, anchors, side="right")
        counts = np.bincount(levels, minlength=len(ends))
        return GoldenChoice(
            self.image,
            threshold,
            tuple(int(count) for count in counts),
            tuple(bool(len(s)) for s in self._scores),
            self._is_stable(spec, {"boxes": boxes, "scores": scores, "labels": labels}),
        )

    def _is_stable(self, spec: OneStageSpec, found: Mapping[str, NDArray[np.generic]]) -> bool:
        """Whether outputs with random errors make the same detections."""
        regions = output_regions(spec, {name: value.shape for name, value in self._outputs.items()})
        for seed in SEEDS:
            rng = np.random.default_rng(seed)
            outputs = {name: value.copy() for name, value in self._outputs.items()}
            for name, parts in regions.items():
                for part in parts:
                    values = part.of(outputs[name])
                    own = replace(part.values, least=0.0)
                    spread = own.of(float(np.abs(values[np.isfinite(values)]).max(initial=0.0)))
                    most = self._tol.outputs * NOISE * spread
                    if own.matters is not None:
                        most = max(most, LEAST_NOISE)
                    noise = rng.uniform(-most, most, values.shape)
                    part.put(outputs[name], values + noise.astype(np.float32))
            boxes, scores, labels, _ = _decode(spec, outputs)
            if not compare_detections("stable", found, Boxes(boxes, scores, labels), self._tol).ok:
                return False
        return True


def _decode(
    spec: OneStageSpec, outputs: Mapping[str, Array]
) -> tuple[Array, Array, NDArray[np.int32], NDArray[np.int32]]:
    """Boxes, scores, labels and anchor indices."""
    return _core.OneStageDecoder(spec).decode(dict(outputs))


def _gap_below(scores: Array, score: float) -> float:
    """A threshold in the widest gap of the scores (descending) that follow `score`, with few digits."""
    first = int(np.searchsorted(-scores, -score, side="right")) - 1
    window = np.append(scores, np.float32(0))[first : first + NEXT + 1].astype(np.float64)
    widest = int(np.argmax(window[:-1] - window[1:]))
    high, low = float(window[widest]), float(window[widest + 1])
    middle = (high + low) / 2
    for digits in range(1, 8):
        rounded = float(f"{middle:.{digits}g}")
        if abs(rounded - middle) <= (high - low) / 4:
            return rounded
    return middle


IMAGES = 3
MOST_TRIED = 8


def compare_on_images(detector: Detector, reference: OneStageReference, images: Iterable[Image]) -> Check:
    """Compare the detections of a bundle with those of its reference on several images, compared together.

    The score threshold of an image is lowered until every level detects. Images are left out on which that
    finds nothing, or where rounding errors alone change the detections.

    Args:
        detector: runs the bundle.
        reference: the detector with the weights as the bundle stores them.
        images: RGB (H, W, 3) uint8; the first three that are of use are compared, of 8 at most.

    Returns:
        One check; `proved` is false if no image was of use.
    """
    is_int8 = detector.runs_in.storage == "int8"
    tol = TOLERANCES["fp32"] if is_int8 else tolerances_for(detector)
    checks: list[Check] = []
    total = 0
    for image in islice(images, MOST_TRIED):
        choice = choose_golden(reference, [image], tol)
        if not choice.detections or not choice.is_stable:
            continue
        exact = choice.applied_to(reference)
        pipeline = detector.pipeline_at(choice.score_threshold)
        assert isinstance(pipeline, OneStagePipeline)
        pixels = np.ascontiguousarray(image)
        maps = (
            pipeline.model(pipeline.preprocess(pixels)) if is_int8 else exact.raw(exact.preprocess(image)[1])
        )
        expected = exact.detections(maps, (image.shape[0], image.shape[1]))
        found = pipeline.run(pixels, Stopwatch())
        checks.append(compare_detections("detections", expected, found, replace(tol, lost=1.0)))
        total += max(len(expected["scores"]), len(found.scores))
        if len(checks) == IMAGES:
            break
    return _summary(checks, total, tol.lost, tol.box_pixels)


def _summary(checks: list[Check], total: int, lost: float, pixels: float) -> Check:
    if not checks:
        note = "no image with stable detections: not proved"
        return Check("detections on other images", (0, 4), 0.0, None, 1.0, pixels, True, note, False)
    agreed = sum(check.shape[0] for check in checks)
    return Check(
        f"detections on {len(checks)} other image{'s' * (len(checks) > 1)}",
        (agreed, 4),
        max(check.max_abs for check in checks),
        min((check.snr_db for check in checks if check.snr_db is not None), default=None),
        min(check.cosine for check in checks),
        pixels,
        all(check.ok for check in checks) and total - agreed <= lost * total,
        f"{agreed}/{total} agree",
    )
