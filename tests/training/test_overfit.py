"""Sixteen rendered pictures are learnt by heart: network, targets, losses and operators work together."""

from pathlib import Path

import numpy as np
from learnt_scenes import NAMES, PICTURES, SIDE, scenes

from pocketdet.accuracy import Found, coco_accuracy
from pocketdet.datasets import Annotated, Dataset
from pocketdet.models.postprocess import reference_stages
from pocketdet.models.training.augment import Recipe
from pocketdet.models.training.config import Augment, Losses, Optimizer, Schedule, Source, TrainConfig
from pocketdet.models.training.loop import start_run, train
from pocketdet.models.training.pool import make_pool

STEPS = 150


def test_sixteen_pictures_are_learnt(tmp_path: Path) -> None:
    pictures = scenes()
    setup = TrainConfig(
        data=(Source(Path("rendered.json"), Path("rendered")),),
        out=tmp_path,
        input_size=(SIDE, SIDE),
        anchor_scales=(16, 32, 64, 128),
        save_every=STEPS,
        schedule=Schedule(
            PICTURES * STEPS, PICTURES, learning_rate=2e-3, warmup_steps=20, decay="cosine", sizes=(SIDE,)
        ),
        optimizer=Optimizer("adamw", weight_decay=0.01, clip_norm=5.0),
        augment=Augment(kind="none"),
        losses=Losses(0.6, 0.4, 32, 32, pre_nms=100, proposals=50, rois=32, ohem=0, jitter=8),
    )
    state = start_run(setup, setup.detector(NAMES))
    reports = list(train(setup, Recipe([make_pool(pictures, len(NAMES), 0.0)], [1.0], setup.augment), state))
    assert reports[-1].losses["loss"] < 0.1 * reports[0].losses["loss"]

    model = state.model.eval()
    found = []
    for picture in pictures:
        stages = reference_stages(model, picture.image)
        found.append(Found(stages.boxes.numpy(), stages.scores.numpy(), stages.labels.numpy()))
    judged = [
        Annotated(tmp_path, (SIDE, SIDE), p.boxes, p.labels, np.zeros(len(p.labels), np.bool_), i)
        for i, p in enumerate(pictures)
    ]
    accuracy = coco_accuracy(Dataset(NAMES, tuple(judged)), found)
    assert accuracy.ap50 > 0.95, accuracy
