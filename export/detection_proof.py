"""Detections of a finished bundle beside those of the reference, on several images.

The bundle runs its own network, decoder and suppression (C++). The reference runs the original network and an
independent decoder (`models/ops/one_stage_decode.py`). An int8 network differs from the original by more than
a decoder does, so the independent decoder then reads the outputs of the bundle's own network.
"""

from collections.abc import Iterable
from dataclasses import replace
from itertools import islice

import numpy as np

from pocketdet.export.golden import choose_golden
from pocketdet.export.reference.base import Image
from pocketdet.export.reference.one_stage import OneStageReference
from pocketdet.runtime.detector import Detector
from pocketdet.runtime.parity import TOLERANCES, Check, compare_detections
from pocketdet.runtime.pipeline import OneStagePipeline, Stopwatch
from pocketdet.runtime.verification import tolerances_for

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
