"""The standard frames: the same bytes everywhere, and enough objects for the head of a trained detector."""

import hashlib

import numpy as np
import torch

from pocketdet.datasets.standard_frames import COUNT, FIRST_FRAME, standard_frame, standard_frames
from pocketdet.models.checkpoint import load_checkpoint
from pocketdet.models.postprocess import reference_stages
from pocketdet.models.random_init import random_detector
from pocketdet.models.thundernet import ThunderNet
from pocketdet.models.zoo import FOD, zoo_weights

DIGESTS = {  # a change needs another VERSION: records compare frames by digest
    "standard1-0": "f6fcefdae686659bd90b7b178b29c69a68e748bb5af10042b574b2b12f2a89e1",
    "standard1-1": "baf72bfb58c9e5da250c1c6d2503a05b99bbe16cffe55761c1af27c72dbd0b28",
    "standard1-2": "25135f297bb184200ec57ce92bfbe8241d9178f102f304b4ed62eaa3af7f5372",
    "standard1-3": "39c81036e0f2db6ab27e8f3fddbc72324bdd6130f5437ec9deebc4eecbd9b019",
}


def test_the_bytes_are_fixed() -> None:
    frames = standard_frames()
    assert {name: hashlib.sha256(frame).hexdigest() for name, frame in frames.items()} == DIGESTS
    assert (len(frames), next(iter(frames))) == (COUNT, FIRST_FRAME)
    for frame in frames.values():
        assert (frame.shape, frame.dtype) == ((480, 640, 3), np.uint8)


def count_rois(model: ThunderNet, number: int) -> int:
    return len(reference_stages(model, standard_frame(number)).proposal_boxes)


def test_every_frame_fills_the_head_of_the_trained_detector() -> None:
    model = load_checkpoint(zoo_weights(FOD))
    kept = model.config.proposals.post_nms_top_n
    assert [count_rois(model, number) for number in range(COUNT)] == [kept] * COUNT


def test_a_frame_fills_the_head_of_an_untrained_detector() -> None:
    model = random_detector("thundernet-snet49", ("bolt",), (160, 160), 7)
    assert isinstance(model, ThunderNet)
    with torch.inference_mode():
        assert count_rois(model, 0) == model.config.proposals.post_nms_top_n
