from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from one_stage_loops import decode_by_loops
from one_stage_problems import problems

from pocketdet.errors import UsageError
from pocketdet.models.ops import decode_boxes, make_anchors
from pocketdet.models.ops.one_stage_decode import one_stage_decode, read_anchors
from pocketdet.spec.one_stage import (
    CxcywhCoding,
    DistanceCoding,
    Level,
    OneStageSpec,
    OutputField,
    Scores,
    Selection,
    XyxyCoding,
)


@pytest.fixture(autouse=True)
def seeded():
    """Unseeded, torch draws a size beyond the limit of `exp` once in a thousand runs."""
    torch.manual_seed(0)


@settings(max_examples=150, deadline=None)
@given(problems())
def test_equals_the_definition(problem):
    spec, outputs = problem.spec, problem.outputs
    with np.errstate(all="ignore"):
        expected = decode_by_loops(spec, outputs)
    found = one_stage_decode(spec, {name: torch.from_numpy(v) for name, v in outputs.items()})
    assert found.anchors.tolist() == [c[2] for c in expected]
    assert found.labels.tolist() == [c[1] for c in expected]
    scores = np.array([c[0] for c in expected], np.float32)
    boxes = np.array([c[3] for c in expected], np.float32).reshape(-1, 4)
    np.testing.assert_allclose(found.scores.numpy(), scores, rtol=3e-7)
    np.testing.assert_allclose(found.boxes.numpy(), boxes, rtol=1e-6, atol=1e-5)


ALL = Selection(score_threshold=0.0, nms="none", clip=False, max_detections=10_000)


def one_level(coding, *, elements=4, layout="map", classes=2, offset=0.5, grid=(5, 6), **scores):
    level = Level(grid, 16, ((16.0, 16.0),), OutputField("c"), (OutputField("b"),), OutputField("o"), offset)
    return OneStageSpec((80, 96), classes, (level,), (coding,), Scores(**scores), ALL)


def by_anchor(found):
    """Boxes in the order of the anchors, of label 0."""
    mine = found.labels == 0
    return found.boxes[mine][found.anchors[mine].argsort()]


def test_defaults_are_the_box_coding_of_two_stage_detectors():
    deltas = torch.randn(4, 5, 6)
    coding = CxcywhCoding(multiplier=(0.1, 0.1, 0.2, 0.2))
    found = one_stage_decode(one_level(coding), {"c": torch.zeros(2, 5, 6), "b": deltas})
    anchors = make_anchors((5, 6), 16, [(16.0, 16.0)])
    expected = decode_boxes(deltas.permute(1, 2, 0).reshape(-1, 4), anchors, (0.1, 0.1, 0.2, 0.2))
    assert torch.equal(by_anchor(found), expected)


def cells():
    y, x = torch.meshgrid(torch.arange(5.0), torch.arange(6.0), indexing="ij")
    return x.flatten(), y.flatten()


def test_yolox():
    raw, (x, y) = torch.randn(4, 5, 6), cells()
    coding = CxcywhCoding(centre_unit="stride", size_unit="stride")
    found = one_stage_decode(one_level(coding, offset=0.0), {"c": torch.zeros(2, 5, 6), "b": raw})
    # YOLOX measures from the cell's corner: its anchor of side 16 is centred there
    tx, ty, tw, th = raw.flatten(1)
    cx, cy, w, h = (tx + x) * 16, (ty + y) * 16, tw.exp() * 16, th.exp() * 16
    expected = torch.stack([cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2], dim=1)
    torch.testing.assert_close(by_anchor(found), expected, rtol=1e-5, atol=1e-4)


def test_yolov5():
    raw, (x, y) = torch.randn(4, 5, 6), cells()
    coding = CxcywhCoding(
        centre_activation="sigmoid",
        centre_gain=2.0,
        centre_shift=-1.0,
        centre_unit="stride",
        size_activation="sigmoid_squared",
    )
    found = one_stage_decode(one_level(coding), {"c": torch.zeros(2, 5, 6), "b": raw})
    s = raw.flatten(1).sigmoid()
    cx, cy = (s[0] * 2 - 0.5 + x) * 16, (s[1] * 2 - 0.5 + y) * 16
    w, h = (s[2] * 2) ** 2 * 16, (s[3] * 2) ** 2 * 16
    expected = torch.stack([cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2], dim=1)
    torch.testing.assert_close(by_anchor(found), expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize(("bins", "offset"), [(16, 0.5), (8, 0.0)])
def test_yolov8_and_nanodet(bins, offset):
    raw, (x, y) = torch.randn(4 * bins, 5, 6), cells()
    spec = one_level(DistanceCoding(bins=bins), offset=offset)
    found = one_stage_decode(spec, {"c": torch.zeros(2, 5, 6), "b": raw})
    d = raw.reshape(4, bins, 30).softmax(dim=1).mul(torch.arange(bins)[:, None]).sum(dim=1) * 16
    cx, cy = (x + offset) * 16, (y + offset) * 16
    expected = torch.stack([cx - d[0], cy - d[1], cx + d[2], cy + d[3]], dim=1)
    torch.testing.assert_close(by_anchor(found), expected, rtol=1e-5, atol=1e-4)


def test_decoded_columns():
    """YOLOv8 as most export it: (4 + C, n) with centres and sizes in pixels and probabilities."""
    table = torch.rand(7, 50) * 40 + 1
    table[4:] = torch.rand(3, 50)
    level = Level(
        (1, 50), 1, ((1.0, 1.0),), OutputField("t", "columns", first=4), (OutputField("t", "columns"),)
    )
    coding = CxcywhCoding(origin="image", centre_unit="pixel", size_activation="none", size_unit="pixel")
    spec = OneStageSpec((80, 96), 3, (level,), (coding,), Scores("none"), ALL)
    cx, cy, w, h = table[:4]
    expected = torch.stack([cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2], dim=1)
    torch.testing.assert_close(by_anchor(one_stage_decode(spec, {"t": table})), expected)


# The drawing in docs/reference/description.md: three cells, anchors a and b, two values of each.
VALUES = torch.arange(12.0).reshape(3, 2, 2)
LAYOUTS = {
    "map": (OutputField("t", anchor_channels=2), VALUES.permute(1, 2, 0).reshape(4, 1, 3)),
    "map, interleaved": (
        OutputField("t", anchor_channels=1, element_step=2),
        VALUES.permute(2, 1, 0).reshape(4, 1, 3),
    ),
    "rows": (OutputField("t", "rows"), VALUES.reshape(6, 2)),
    "rows, anchors outermost": (
        OutputField("t", "rows", cell_step=1, anchor_step=3),
        VALUES.transpose(0, 1).reshape(6, 2),
    ),
    "rows, anchors in the channels": (
        OutputField("t", "rows", anchor_step=0, anchor_channels=2),
        VALUES.reshape(3, 4),
    ),
    "columns": (OutputField("t", "columns"), VALUES.reshape(6, 2).T),
    "columns, anchors outermost": (
        OutputField("t", "columns", cell_step=1, anchor_step=3),
        VALUES.transpose(0, 1).reshape(6, 2).T,
    ),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_layouts_of_the_drawing_have_the_same_values(name):
    field, tensor = LAYOUTS[name]
    level = Level((1, 3), 8, ((8.0, 8.0), (8.0, 8.0)), field, (field,), sizes=(field,))
    spec = OneStageSpec((8, 24), 2, (level,), (CxcywhCoding(),))
    raw = read_anchors(spec, {"t": tensor})
    assert torch.equal(raw.classes, VALUES.reshape(6, 2))
    assert torch.equal(raw.codes[0], torch.cat([raw.classes, raw.classes], dim=1))


def test_ssd_with_a_stride_of_a_fraction():
    """19 cells over 300 pixels: centres at (i + 0.5) / 19 of the image."""
    field = OutputField("t", "rows")
    level = Level((1, 19), (300 / 19, 300.0), ((30.0, 60.0),), field, (field,))
    boxes = read_anchors(
        OneStageSpec((300, 300), 1, (level,), (CxcywhCoding(),)), {"t": torch.zeros(19, 4)}
    ).boxes
    x = (torch.arange(19) + 0.5) / 19 * 300
    torch.testing.assert_close(boxes[:, 0], x - 15, rtol=0, atol=1e-4)
    assert boxes[:, 1].eq(120).all()


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        ({"c": (2, 5, 6)}, "no output 'b'"),
        ({"c": (1, 5, 6), "b": (4, 5, 6)}, "'c' is (1, 5, 6): its field needs (2, 5, 6)"),
        ({"c": (2, 5, 7), "b": (4, 5, 6)}, "'c' is (2, 5, 7)"),
        ({"c": (2, 30), "b": (4, 5, 6)}, "'c' is (2, 30)"),
    ],
)
def test_outputs_that_do_not_fit(outputs, message):
    with pytest.raises(UsageError) as error:
        one_stage_decode(one_level(CxcywhCoding()), {k: torch.zeros(s) for k, s in outputs.items()})
    assert message in str(error.value)


@pytest.mark.parametrize(
    "bad",
    [
        lambda: OutputField("x", "map", first_row=1),
        lambda: OutputField("x", "map", cell_step=1),
        lambda: OutputField("x", "map", anchor_step=0),
        lambda: OutputField("x", "rows", cell_step=0),
        lambda: OutputField("x", "rows", anchor_step=10**9),
        lambda: OutputField("x", "cube"),
        lambda: CxcywhCoding(order=(0, 1, 2, 2)),
        lambda: CxcywhCoding(max_log=1000),
        lambda: CxcywhCoding(multiplier=(1, 1, 1, float("nan"))),
        lambda: DistanceCoding(bins=0),
        lambda: DistanceCoding(bins=4, activation="exp"),
        lambda: XyxyCoding(unit="anchor"),
        lambda: Level((0, 4), 8, ((8, 8),), OutputField("c"), (OutputField("b"),)),
        lambda: Level((4, 4), 8, ((8, 0),), OutputField("c"), (OutputField("b"),)),
        lambda: Level((4, 4), 8, (), OutputField("c"), (OutputField("b"),)),
        lambda: Level((4, 4), (8, 0.5), ((8, 8),), OutputField("c"), (OutputField("b"),)),
        lambda: Level((4, 4), float("nan"), ((8, 8),), OutputField("c"), (OutputField("b"),)),
        lambda: Scores(activation="relu"),
        lambda: Selection(nms="fast"),
        lambda: Selection(top_n=0),
        lambda: replace(one_level(CxcywhCoding()), codings=()),
        lambda: replace(one_level(CxcywhCoding()), codings=(CxcywhCoding(), CxcywhCoding())),
        lambda: replace(one_level(CxcywhCoding()), num_classes=0),
    ],
)
def test_descriptions_that_cannot_be(bad):
    with pytest.raises(UsageError):
        bad()


def test_objectness_that_is_used_must_be_there():
    spec = one_level(CxcywhCoding())
    bare = replace(spec, levels=(replace(spec.levels[0], objectness=None),))
    with pytest.raises(UsageError, match="no field"):
        replace(bare, selection=replace(ALL, top_n_objectness=5))
