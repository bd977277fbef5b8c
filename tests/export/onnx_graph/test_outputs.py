"""Outputs of other ranks become maps or rows with a batch axis of 1."""

import numpy as np
import onnx
import pytest
from onnx_builder import OnnxBuilder, images, run

from pocketdet.errors import UsageError
from pocketdet.export.onnx_graph.outputs import normalise_outputs, output_form

SIZE = (48, 64)
GRID = (6, 8)


@pytest.mark.parametrize(
    ("shape", "normal", "permutation"),
    [
        ((1, 7, 6, 8), (1, 7, 6, 8), None),
        ((1, 48, 7), (1, 48, 7), None),
        ((1, 48), (1, 48), None),
        ((48, 7), (1, 48, 7), None),
        ((7, 6, 8), (1, 7, 6, 8), None),
        ((1, 3, 6, 8, 7), (1, 21, 6, 8), (0, 1, 4, 2, 3)),
        ((3, 6, 8, 7), (1, 21, 6, 8), (0, 1, 4, 2, 3)),
        ((1, 3, 7, 6, 8), (1, 21, 6, 8), None),
        ((1, 6, 8, 3, 7), (1, 144, 7), None),
    ],
)
def test_every_form_has_one_normal_form(
    shape: tuple[int, ...], normal: tuple[int, ...], permutation: tuple[int, ...] | None
) -> None:
    form = output_form("out", shape, SIZE)
    assert (form.shape, form.permutation) == (normal, permutation)


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((7,), "expected two to five axes"),
        ((1, 2, 3, 4, 5, 6), "expected two to five axes"),
        ((1, 3, 5, 9, 7), "no two neighbours of its axes can be the grid"),
        ((1, 6, 8, 6, 8), "more than one pair of its axes can be the grid"),
    ],
)
def test_an_output_of_no_known_form_is_refused(shape: tuple[int, ...], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        output_form("out", shape, SIZE)


@pytest.mark.parametrize("anchors", [1, 3])
@pytest.mark.parametrize("values", [6, 85])
@pytest.mark.parametrize("order", [(0, 1, 3, 4, 2), (0, 1, 2, 3, 4), (0, 3, 4, 1, 2)])
def test_values_keep_their_place(anchors: int, values: int, order: tuple[int, ...]) -> None:
    b = OnnxBuilder()
    head = b.conv("image", 3, anchors * values, 3, 8)
    parts = b.add("Reshape", head, b.ints(1, anchors, values, *GRID))
    b.add("Transpose", parts, perm=order, to="out")
    b.add("Relu", "out", to="other")
    model = b.model({"image": (1, 3, *SIZE)}, {"out": None, "other": None})
    before = [run(model, {"image": image}) for image in images(1, 3, *SIZE)]
    shapes = {name: value.shape for name, value in before[0].items()}
    changed = normalise_outputs(model, shapes, SIZE)
    assert list(changed) == ["out", "other"]
    onnx.checker.check_model(model, full_check=True)
    rows = order == (0, 3, 4, 1, 2)
    for image, expected in zip(images(1, 3, *SIZE), before, strict=True):
        found = run(model, {"image": image})
        for name in shapes:
            inverse = np.argsort(order)
            parts_of = expected[name].transpose(inverse)  # (1, anchors, values, h, w)
            wanted = parts_of.reshape(1, anchors * values, *GRID)
            if rows:
                wanted = parts_of.transpose(0, 3, 4, 1, 2).reshape(1, -1, values)
            assert np.array_equal(found[name], wanted)


@pytest.mark.parametrize("axes", [2, 3])
def test_a_batch_axis_is_put_before_rows_and_maps(axes: int) -> None:
    b = OnnxBuilder()
    head = b.conv("image", 3, 5, 3, 8)
    b.add("Reshape", head, b.ints(5, *(GRID if axes == 3 else (-1,))), to="out")
    model = b.model({"image": (1, 3, *SIZE)}, {"out": None})
    (image, _) = images(1, 3, *SIZE)
    before = run(model, {"image": image})["out"]
    assert list(normalise_outputs(model, {"out": before.shape}, SIZE)) == ["out"]
    assert np.array_equal(run(model, {"image": image})["out"], before[None])


def test_outputs_in_normal_form_are_left_alone() -> None:
    b = OnnxBuilder()
    b.conv("image", 3, 5, 3, 8, to="out")
    model = b.model({"image": (1, 3, *SIZE)}, {"out": (1, 5, *GRID)})
    before = model.SerializeToString()
    assert not normalise_outputs(model, {"out": (1, 5, *GRID)}, SIZE)
    assert model.SerializeToString() == before
