"""Sixteen small rendered pictures, which a detector in training is to learn by heart."""

from dataclasses import replace

import numpy as np

from pocketdet.models.scenes import random_scene, render_scene
from pocketdet.models.training.labelled import Labelled

SIDE, PICTURES = 128, 16
NAMES = ("Hammer", "SodaCan", "Wrench", "LuggageTag")


def scenes() -> list[Labelled]:
    """Pictures of one to three large objects of four kinds."""
    made = []
    for seed in range(PICTURES):
        rng = np.random.default_rng(seed)
        spec = random_scene(rng, (SIDE, SIDE), max_objects=2)
        placements = tuple(
            replace(p, kind=NAMES[(seed + i) % len(NAMES)]) for i, p in enumerate(spec.placements)
        )
        scene = render_scene(replace(spec, placements=placements, view_mm=420.0), rng)
        labels = np.array([NAMES.index(name) for name in scene.labels], np.int64)
        made.append(
            Labelled(scene.image, scene.boxes.astype(np.float32), labels, np.zeros((0, 4), np.float32))
        )
    return made
