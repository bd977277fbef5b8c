"""Somebody else's detector, described by data alone, on real images."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from needs import SHARED_DATA

from pocketdet.models.ops.one_stage_decode import one_stage_decode
from pocketdet.spec.one_stage import (
    CxcywhCoding,
    Level,
    OneStageSpec,
    OutputField,
    Scores,
    Selection,
)

MODEL = Path(__file__).parents[4] / "shared/data/peers/FastestDet.onnx"
SIDE, CELLS, CLASSES = 352, 22, 80
SPEC = OneStageSpec(
    (SIDE, SIDE),
    CLASSES,
    (
        Level(
            (CELLS, CELLS),
            SIDE // CELLS,
            ((16.0, 16.0),),
            classes=OutputField("out", first=5),
            boxes=(OutputField("out", first=1),),
            objectness=OutputField("out"),
            offset=0.0,
        ),
    ),
    (
        CxcywhCoding(
            centre_activation="tanh", centre_unit="stride", size_activation="sigmoid", size_unit="input"
        ),
    ),
    Scores("none", objectness_activation="none", class_power=0.4, objectness_power=0.6),
    Selection(score_threshold=0.3, best_class_only=True, nms_iou=0.45),
)


def by_its_authors_formula(out):
    """Every cell: score, label, box."""
    objectness, (tx, ty, tw, th), classes = out[0], out[1:5], out[5:]
    y, x = np.mgrid[:CELLS, :CELLS]
    scores = objectness**0.6 * classes.max(axis=0) ** 0.4
    cx, cy = (np.tanh(tx) + x) * 16, (np.tanh(ty) + y) * 16
    w, h = (SIDE / (1 + np.exp(-t)) for t in (tw, th))
    boxes = np.stack([cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2], axis=-1)
    return scores.reshape(-1), classes.argmax(axis=0).reshape(-1), boxes.reshape(-1, 4)


@pytest.mark.skipif(not MODEL.exists(), reason=SHARED_DATA)
def test_its_outputs_by_its_description():
    session = onnxruntime.InferenceSession(str(MODEL), providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    coarse = rng.random((1, 3, 11, 11), dtype=np.float32)
    out = session.run(None, {session.get_inputs()[0].name: coarse.repeat(32, axis=2).repeat(32, axis=3)})[0][
        0
    ]
    scores, labels, boxes = by_its_authors_formula(out)
    threshold = float(np.sort(scores)[-30])
    rule = Selection(score_threshold=threshold, best_class_only=True, nms="none")
    spec = OneStageSpec(SPEC.input_size, CLASSES, SPEC.levels, SPEC.codings, SPEC.scores, rule)
    found = one_stage_decode(spec, {"out": torch.from_numpy(out)})
    assert 27 <= len(found.boxes) <= 30
    index = found.anchors.numpy()
    np.testing.assert_allclose(found.scores.numpy(), scores[index], rtol=1e-5)
    np.testing.assert_array_equal(found.labels.numpy(), labels[index])
    np.testing.assert_allclose(found.boxes.numpy(), boxes[index].clip(0, SIDE), rtol=1e-4, atol=1e-3)
