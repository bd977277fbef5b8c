"""Every rule keeps the values of a graph, and applies only where that is so."""

from collections.abc import Sequence

import numpy as np
import onnx
import pytest
from onnx_builder import Array, OnnxBuilder, images, run

from pocketdet.export.onnx_graph.conversions import RULES, apply_conversions

FOCUS, ROI, WHOLE = RULES
END = 2**63 - 1


def _check(model: onnx.ModelProto, inputs: Sequence[Array], counts: dict[str, int]) -> onnx.ModelProto:
    """Apply the rules, compare the values before and after, and return the result."""
    changed, found = apply_conversions(model)
    assert found == counts
    onnx.checker.check_model(changed, full_check=True)
    for image in inputs:
        before, after = run(model, {"image": image}), run(changed, {"image": image})
        assert list(before) == list(after)
        assert all(np.array_equal(before[name], after[name]) for name in before)
    return changed


def _focus(
    b: OnnxBuilder, places: Sequence[tuple[int, int]], *, end: int = END, in_one: bool = False
) -> list[str]:
    """Every second row and column of "image", from each of `places`."""
    parts = []
    for row, column in places:
        if in_one:
            slices = [((row, column), (end, end), (2, 3), (2, 2))]
        else:
            slices = [((row,), (end,), (2,), (2,)), ((column,), (end,), (-1,), (2,))]
        part = "image"
        for starts, ends, axes, steps in slices:
            constants = [b.ints(*values) for values in (starts, ends, axes, steps)]
            part = b.add("Slice", part, *constants)
        parts.append(part)
    return parts


YOLOX = [(0, 0), (1, 0), (0, 1), (1, 1)]


@pytest.mark.parametrize("places", [YOLOX, [(0, 0), (0, 1), (1, 0), (1, 1)]])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(8, 8), (6, 10)])
@pytest.mark.parametrize("in_one", [False, True])
@pytest.mark.parametrize("opset", [11, 17])
def test_focus_is_a_convolution(
    places: Sequence[tuple[int, int]], channels: int, size: tuple[int, int], in_one: bool, opset: int
) -> None:
    b = OnnxBuilder()
    b.add("Concat", *_focus(b, places, in_one=in_one), axis=1, to="out")
    shape = (1, channels, *size)
    half = (1, 4 * channels, size[0] // 2, size[1] // 2)
    model = b.model({"image": shape}, {"out": half}, opset=opset)
    changed = _check(model, images(*shape), {FOCUS: 1})
    assert "Concat" not in {node.op_type for node in changed.graph.node}


@pytest.mark.parametrize("case", ["odd sides", "one place missing", "short end", "other sources"])
def test_other_slices_are_left_alone(case: str) -> None:
    b = OnnxBuilder()
    size = (9, 8) if case == "odd sides" else (8, 8)
    if case == "one place missing":
        rows = [b.add("Slice", "image", *map(b.ints, (start, END, 2, 2))) for start in (0, 1)]
        parts = [*rows, *rows]
        half = (1, 12, 4, 8)
    else:
        places = [(0, 0)] * 4 if case == "odd sides" else YOLOX
        parts = _focus(b, places, end=7 if case == "short end" else END)
        half = (1, 12, 5 if case == "odd sides" else 4, 4)
    if case == "short end":
        parts = _focus(b, [(1, 1)] * 4, end=6)
        half = (1, 12, 3, 3)
    if case == "other sources":
        parts[2] = b.add("MaxPool", b.add("Relu", "image"), kernel_shape=[2, 2], strides=[2, 2])
    b.add("Concat", *parts, axis=1, to="out")
    shape = (1, 3, *size)
    _check(b.model({"image": shape}, {"out": half}), images(*shape), {})


@pytest.mark.parametrize("roi", [0, 8])
@pytest.mark.parametrize("mode", ["nearest", "linear"])
@pytest.mark.parametrize("coordinates", ["asymmetric", "half_pixel", "align_corners"])
@pytest.mark.parametrize("factors", [(2, 2), (3, 1), (1.5, 2)])
@pytest.mark.parametrize("opset", [11, 17])
def test_resize_keeps_its_values(
    roi: int, mode: str, coordinates: str, factors: tuple[float, float], opset: int
) -> None:
    b = OnnxBuilder()
    scales = b.constant(np.array([1, 1, *factors], np.float32))
    region = b.constant(np.ones(roi, np.float32))
    b.add("Resize", "image", region, scales, to="out", mode=mode, coordinate_transformation_mode=coordinates)
    after = (1, 2, int(4 * factors[0]), int(6 * factors[1]))
    model = b.model({"image": (1, 2, 4, 6)}, {"out": after}, opset=opset)
    whole = mode == "nearest" and coordinates == "half_pixel" and factors != (1.5, 2)
    counts = ({ROI: 1} if roi else {}) | ({WHOLE: 1} if whole else {})
    changed = _check(model, images(1, 2, 4, 6), counts)
    if roi:
        (resize,) = (node for node in changed.graph.node if node.op_type == "Resize")
        assert resize.input[1] != region


def test_a_roi_that_the_mode_reads_stays() -> None:
    b = OnnxBuilder()
    scales = b.constant(np.array([1, 1, 2, 2], np.float32))
    region = b.constant(np.array([0, 0, 0.2, 0.1, 1, 1, 0.9, 0.8], np.float32))
    b.add(
        "Resize",
        "image",
        region,
        scales,
        to="out",
        mode="linear",
        coordinate_transformation_mode="tf_crop_and_resize",
    )
    model = b.model({"image": (1, 2, 4, 6)}, {"out": None})
    changed, counts = apply_conversions(model)
    assert not counts
    assert changed is model


def test_a_graph_without_such_operators_is_the_same_object() -> None:
    b = OnnxBuilder()
    b.conv("image", 3, 4, to="out")
    model = b.model({"image": (1, 3, 8, 8)}, {"out": (1, 4, 8, 8)})
    assert apply_conversions(model) == (model, {})
