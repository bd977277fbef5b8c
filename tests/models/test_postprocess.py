"""The whole reference: each stage follows from the one before, and the maps alone give the same answer."""

import dataclasses

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from pocketdet.models.config import DetectorConfig, Postprocessing, Preprocessing
from pocketdet.models.ops import box_iou, make_anchors, ps_roi_align
from pocketdet.models.postprocess import Postprocessed, Stages, postprocess, reference_stages
from pocketdet.models.random_init import random_thundernet
from pocketdet.models.thundernet import ThunderNet


def random_image(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    """Soft blobs: coarse noise, enlarged."""
    coarse = torch.rand(1, 3, 5, 7, generator=torch.Generator().manual_seed(seed)) * 255
    smooth = torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")
    return smooth[0].permute(1, 2, 0).round().to(torch.uint8).numpy()


@pytest.fixture(scope="module")
def stages(small_model: ThunderNet) -> Stages:
    return reference_stages(small_model, random_image(120, 200))


def test_shapes_and_types(small_model: ThunderNet, stages: Stages) -> None:
    rois, found = len(stages.proposal_boxes), len(stages.boxes)
    assert 20 < rois <= 200
    assert 5 < found <= 100
    expected = {
        "resized": (96, 64, 3),
        "normalised": (3, 96, 64),
        "rpn_scores": (50, 6, 4),
        "rpn_deltas": (100, 6, 4),
        "sam": (245, 6, 4),
        "proposal_indices": (rois,),
        "proposal_logits": (rois,),
        "proposal_boxes": (rois, 4),
        "roi_features": (rois, 245),
        "logits": (rois, 4),
        "deltas": (rois, 4),
        "boxes": (found, 4),
        "scores": (found,),
        "labels": (found,),
    }
    assert {k: tuple(v.shape) for k, v in vars(stages).items()} == expected
    assert stages.resized.dtype == torch.uint8
    assert stages.proposal_indices.dtype == stages.labels.dtype == torch.int64
    assert not any(v.requires_grad for v in vars(stages).values())


def test_the_input_is_the_resized_image_normalised(small_model: ThunderNet, stages: Stages) -> None:
    pre = small_model.config.preprocessing
    back = stages.normalised.permute(1, 2, 0) * torch.tensor(pre.std) + torch.tensor(pre.mean)
    torch.testing.assert_close(back, stages.resized.float(), rtol=0, atol=1e-4)
    with torch.no_grad():
        maps = small_model(stages.normalised[None])
    for name, live in zip(("rpn_scores", "rpn_deltas", "sam"), maps, strict=True):
        assert torch.equal(getattr(stages, name), live[0]), name


def test_proposals_are_apart_inside_and_ordered(small_model: ThunderNet, stages: Stages) -> None:
    boxes, logits = stages.proposal_boxes, stages.proposal_logits
    assert (boxes >= 0).all()
    assert (boxes[:, 2:] <= torch.tensor([64.0, 96.0])).all()
    assert (logits.diff() <= 0).all()
    assert box_iou(boxes, boxes).fill_diagonal_(0).max() <= small_model.config.proposals.nms_iou
    count = stages.rpn_scores.shape[0] // 2
    cell, anchor = stages.proposal_indices // count, stages.proposal_indices % count
    y, x = cell // 4, cell % 4
    expected = stages.rpn_scores[count + anchor, y, x] - stages.rpn_scores[anchor, y, x]
    assert torch.equal(logits, expected)
    anchors = make_anchors((6, 4), 16, small_model.config.anchors.sizes())[stages.proposal_indices]
    centres = (anchors[:, :2] + anchors[:, 2:]) / 2
    torch.testing.assert_close(centres, torch.stack([16 * x + 8, 16 * y + 8], 1).float())


def test_roi_features_and_head_follow(small_model: ThunderNet, stages: Stages) -> None:
    image = torch.zeros(len(stages.proposal_boxes), dtype=torch.int64)
    expected = ps_roi_align(stages.sam[None], stages.proposal_boxes, image, 16, 7, 2)
    assert torch.equal(stages.roi_features, expected)
    with torch.no_grad():
        logits, deltas = small_model.head(expected)
    assert torch.equal(stages.logits, logits)
    assert torch.equal(stages.deltas, deltas)


def test_detections_lie_in_the_image_best_first(small_model: ThunderNet, stages: Stages) -> None:
    assert (stages.boxes >= 0).all()
    assert (stages.boxes[:, 2:] <= torch.tensor([200.0, 120.0])).all()
    assert (stages.boxes[:, 2:] > stages.boxes[:, :2]).all()
    assert (stages.scores.diff() <= 0).all()
    rule = small_model.config.postprocessing
    assert stages.scores.min() > rule.score_threshold
    assert stages.scores.max() <= 1
    assert set(stages.labels.tolist()) <= {0, 1, 2}
    for label in range(3):
        mine = stages.boxes[stages.labels == label]
        assert box_iou(mine, mine).fill_diagonal_(0).max() <= rule.nms_iou + 1e-5  # scaled after NMS


def test_the_maps_alone_give_the_same_answer(small_model: ThunderNet, stages: Stages) -> None:
    again = postprocess(small_model, stages.rpn_scores, stages.rpn_deltas, stages.sam, (120, 200))
    for field in dataclasses.fields(Postprocessed):
        assert torch.equal(getattr(again, field.name), getattr(stages, field.name)), field.name


def test_maps_without_a_finite_score_give_nothing(small_model: ThunderNet, stages: Stages) -> None:
    empty = postprocess(
        small_model,
        torch.full_like(stages.rpn_scores, torch.nan),
        stages.rpn_deltas,
        stages.sam,
        (120, 200),
    )
    assert {k: tuple(v.shape) for k, v in vars(empty).items()} == {
        "proposal_indices": (0,),
        "proposal_logits": (0,),
        "proposal_boxes": (0, 4),
        "roi_features": (0, 245),
        "logits": (0, 4),
        "deltas": (0, 4),
        "boxes": (0, 4),
        "scores": (0,),
        "labels": (0,),
    }


@pytest.mark.parametrize("nms", ["hard", "linear", "gaussian"])
@pytest.mark.parametrize("resize", ["stretch", "letterbox", "letterbox_top_left"])
@pytest.mark.parametrize("source", [(1, 1), (17, 400), (300, 60)])
def test_every_rule_and_shape_of_image(nms: str, resize: str, source: tuple[int, int]) -> None:
    config = DetectorConfig(
        "thundernet-snet49",
        ("bolt", "nut"),
        (64, 96),
        preprocessing=Preprocessing(resize=resize),
        postprocessing=Postprocessing(nms=nms, max_detections=30),
    )
    stages = reference_stages(random_thundernet(config, 5), random_image(*source))
    assert len(stages.boxes) <= 30
    assert (stages.boxes >= 0).all()
    assert (stages.boxes <= torch.tensor([*source[::-1]] * 2)).all()
    assert (stages.scores.diff() <= 0).all()


def test_channel_order_reaches_the_network() -> None:
    config = DetectorConfig("thundernet-snet49", ("bolt",), (32, 32), Preprocessing("BGR"))
    image = random_image(32, 32)
    stages = reference_stages(random_thundernet(config, 5), image)
    assert np.array_equal(stages.resized.numpy(), image[:, :, ::-1])
