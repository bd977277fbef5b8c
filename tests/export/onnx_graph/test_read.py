"""Graphs as they come: every form of a file becomes the same normal form, with the same values."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx_builder import OnnxBuilder, images, run, save

from pocketdet.errors import UsageError
from pocketdet.export.onnx_graph.read import INPUT, read_onnx

SIZE = (32, 48)
CELLS = (4, 6)


def _head(b: OnnxBuilder, image: str, channels: int = 7) -> str:
    return b.conv(b.add("Relu", b.conv(image, 3, 8, 3, 4)), 8, channels, 3, 2)


def _compare(model: onnx.ModelProto, path: Path, tolerance: float = 1e-6) -> onnx.ModelProto:
    """Read a file whose input is `image` (1, 3, h, w); compare its outputs on two images."""
    names = [output.name for output in model.graph.output]
    found = read_onnx(path, names, SIZE).model
    onnx.checker.check_model(found, full_check=True)
    assert [value.name for value in found.graph.input] == [INPUT]
    for image in images(1, 3, *SIZE):
        expected, values = run(model, {"image": image}), run(found, {INPUT: image})
        for name in names:
            wanted = expected[name]
            assert values[name].shape[0] == 1
            assert np.abs(values[name].reshape(-1) - wanted.reshape(-1)).max() <= tolerance
    return found


@pytest.mark.parametrize("batch", [1, "n"])
@pytest.mark.parametrize("sides", [SIZE, ("h", "w"), ("h", 48)])
@pytest.mark.parametrize("opset", [11, 13, 17])
def test_free_axes_get_the_size_of_the_description(
    tmp_path: Path, batch: int | str, sides: tuple[int | str, int | str], opset: int
) -> None:
    b = OnnxBuilder()
    head = _head(b, "image")
    # the number of cells is computed in the graph, as exporters of dynamic sizes do
    shape = b.add("Shape", head)
    cells = b.add("Concat", b.add("Gather", shape, b.ints(0), axis=0), b.ints(7, -1), axis=0)
    b.add("Transpose", b.add("Reshape", head, cells), perm=[0, 2, 1], to="rows")
    model = b.model({"image": (batch, 3, *sides)}, {"rows": (batch, "cells", 7)}, opset=opset)
    found = _compare(model, save(model, tmp_path))
    assert {node.op_type for node in found.graph.node} == {"Conv", "Relu", "Reshape", "Transpose"}


@pytest.mark.parametrize("batch", [1, "n"])
def test_channels_last_becomes_channels_first(tmp_path: Path, batch: int | str) -> None:
    b = OnnxBuilder()
    b.add("Identity", _head(b, b.add("Transpose", "pixels:0", perm=[0, 3, 1, 2])), to="map")
    model = b.model({"pixels:0": (batch, *SIZE, 3)}, {"map": (batch, 7, *CELLS)})
    graph = read_onnx(save(model, tmp_path), ["map"], SIZE)
    assert graph.notes == ("input 'pixels:0' (1, 32, 48, 3) transposed to channels first",)
    assert "Transpose" not in {node.op_type for node in graph.model.graph.node}
    for image in images(1, 3, *SIZE):
        expected = run(model, {"pixels:0": image.transpose(0, 2, 3, 1).copy()})["map"]
        assert np.abs(run(graph.model, {INPUT: image})["map"] - expected).max() <= 1e-6


@pytest.mark.parametrize("form", ["rows", "columns", "map", "sum", "joined"])
def test_a_missing_batch_axis_is_restored_where_it_was_dropped(tmp_path: Path, form: str) -> None:
    b = OnnxBuilder()
    head = _head(b, "image")
    if form == "map":
        b.add("Squeeze", head, b.ints(0), to="out")
    else:
        flat = b.add("Reshape", head, b.ints(7, -1))
        rows = b.add("Transpose", flat, perm=[1, 0]) if form != "columns" else flat
        if form == "sum":
            rows = b.add("Add", b.add("Sigmoid", rows), b.constant(np.arange(7, dtype=np.float32)))
        if form == "joined":
            rows = b.add("Concat", b.add("Softmax", rows, axis=-1), rows, axis=0)
        b.add("Identity", rows, to="out")
    model = b.model({"image": (1, 3, *SIZE)}, {"out": None})
    found = _compare(model, save(model, tmp_path))
    inner = onnx.shape_inference.infer_shapes(found, data_prop=True).graph.value_info
    assert all(value.type.tensor_type.shape.dim[0].dim_value == 1 for value in inner)


@pytest.mark.parametrize("order", [(0, 1, 3, 4, 2), (0, 1, 2, 3, 4)])
def test_five_axes_become_a_map(tmp_path: Path, order: tuple[int, ...]) -> None:
    b = OnnxBuilder()
    parts = b.add("Reshape", _head(b, "image", 21), b.ints(1, 3, 7, *CELLS))
    b.add("Transpose", parts, perm=order, to="out")
    model = b.model({"image": (1, 3, *SIZE)}, {"out": None})
    graph = read_onnx(save(model, tmp_path), ["out"], SIZE)
    assert [node.op_type for node in graph.model.graph.node] == ["Conv", "Relu", "Conv"]
    for image in images(1, 3, *SIZE):
        values = run(model, {"image": image})["out"].transpose(np.argsort(order))
        assert np.abs(run(graph.model, {INPUT: image})["out"] - values.reshape(1, 21, *CELLS)).max() <= 1e-6


def _half(model: onnx.ModelProto, *, half_input: bool) -> onnx.ModelProto:
    """The model in float16, with float16 or float32 inputs."""
    half = onnx.ModelProto()
    half.CopyFrom(model)
    for tensor in half.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT:
            values = numpy_helper.to_array(tensor).astype(np.float16)
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    for value in half.graph.output:
        value.type.tensor_type.elem_type = TensorProto.FLOAT16
    if half_input:
        half.graph.input[0].type.tensor_type.elem_type = TensorProto.FLOAT16
    else:
        cast = helper.make_node("Cast", ["image"], ["image/half"], to=TensorProto.FLOAT16)
        for node in half.graph.node:
            node.input[:] = ["image/half" if name == "image" else name for name in node.input]
        half.graph.node.insert(0, cast)
    return half


@pytest.mark.parametrize("half_input", [False, True])
def test_half_precision_is_widened(tmp_path: Path, half_input: bool) -> None:
    b = OnnxBuilder()
    b.add("Clip", _head(b, "image"), b.constant(np.array(-2, np.float32)), to="out")
    model = _half(b.model({"image": (1, 3, *SIZE)}, {"out": (1, 7, *CELLS)}), half_input=half_input)
    onnx.checker.check_model(model, full_check=True)
    graph = read_onnx(save(model, tmp_path), ["out"], SIZE)
    assert "half-precision values widened to float32" in graph.notes
    dtypes = {tensor.data_type for tensor in graph.model.graph.initializer}
    assert TensorProto.FLOAT16 not in dtypes
    for image in images(1, 3, *SIZE):
        given = image.astype(np.float16) if half_input else image
        expected = run(model, {"image": given})["out"].astype(np.float32)
        found = run(graph.model, {INPUT: image})["out"]
        assert found.dtype == np.float32
        assert np.abs(found - expected).max() <= 2e-2 * np.abs(expected).max()


def test_a_uint8_image_takes_float32(tmp_path: Path) -> None:
    b = OnnxBuilder()
    b.nodes.append(helper.make_node("Cast", ["image"], ["wide"], to=TensorProto.FLOAT))
    b.add("Identity", _head(b, "wide"), to="out")
    model = b.model({"image": (1, 3, *SIZE)}, {"out": (1, 7, *CELLS)})
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.UINT8
    found = read_onnx(save(model, tmp_path), ["out"], SIZE).model
    pixels = np.random.default_rng(1).integers(0, 256, (1, 3, *SIZE)).astype(np.uint8)
    expected = run(model, {"image": pixels})["out"]
    values = run(found, {INPUT: pixels.astype(np.float32)})["out"]
    assert np.abs(values - expected).max() <= 1e-6 * np.abs(expected).max()


def test_identities_and_constant_branches_disappear(tmp_path: Path) -> None:
    b = OnnxBuilder()
    head = _head(b, b.add("Identity", "image"))
    empty: list[onnx.ValueInfoProto] = []
    branches = [
        helper.make_graph(
            [helper.make_node(kind, [head], ["chosen"])],
            kind,
            empty,
            [helper.make_tensor_value_info("chosen", TensorProto.FLOAT, None)],
        )
        for kind in ("Relu", "Sigmoid")
    ]
    always = b.constant(np.array(True))
    b.nodes.append(
        helper.make_node("If", [always], ["branch"], then_branch=branches[0], else_branch=branches[1])
    )
    b.add("Identity", "branch", to="out")
    model = b.model({"image": (1, 3, *SIZE)}, {"out": (1, 7, *CELLS)})
    found = _compare(model, save(model, tmp_path))
    assert [node.op_type for node in found.graph.node] == ["Conv", "Relu", "Conv", "Relu"]


@pytest.mark.parametrize(
    ("operator", "kind"),
    [("QuantizeLinear", "quantised"), ("DynamicQuantizeLinear", "dynamically quantised")],
)
def test_a_quantised_file_is_refused_with_the_way_out(tmp_path: Path, operator: str, kind: str) -> None:
    b = OnnxBuilder()
    head = _head(b, "image")
    scale, zero = b.constant(np.float32(0.1).reshape(())), b.constant(np.array(0, np.uint8))
    if operator == "QuantizeLinear":
        whole = b.add("QuantizeLinear", head, scale, zero)
        b.add("DequantizeLinear", whole, scale, zero, to="out")
    else:
        b.nodes.append(helper.make_node(operator, [head], ["whole", "step", "nothing"]))
        b.add("DequantizeLinear", "whole", "step", "nothing", to="out")
    path = save(b.model({"image": (1, 3, *SIZE)}, {"out": (1, 7, *CELLS)}), tmp_path)
    with pytest.raises(UsageError, match=f"is {kind} .*export the float model, with --precision int8"):
        read_onnx(path, ["out"], SIZE)


def test_whole_numbers_as_output_are_refused(tmp_path: Path) -> None:
    b = OnnxBuilder()
    b.add("ArgMax", _head(b, "image"), axis=1, to="labels")
    model = b.model({"image": (1, 3, *SIZE)}, {"labels": (1, 1, *CELLS)})
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.INT64
    with pytest.raises(UsageError, match="output 'labels' is int64, expected float32"):
        read_onnx(save(model, tmp_path), ["labels"], SIZE)


def test_an_output_that_depends_on_the_image_is_refused(tmp_path: Path) -> None:
    b = OnnxBuilder()
    found = b.add("NonZero", _head(b, "image"))
    b.nodes.append(helper.make_node("Cast", [found], ["places"], to=TensorProto.FLOAT))
    model = b.model({"image": (1, 3, *SIZE)}, {"places": (4, "n")})
    with pytest.raises(UsageError, match="size of output 'places' depends on the image"):
        read_onnx(save(model, tmp_path), ["places"], SIZE)


def test_dropped_outputs_are_named(tmp_path: Path) -> None:
    b = OnnxBuilder()
    head = _head(b, "image")
    for name in ("boxes", "keypoints", "masks"):
        b.conv(head, 7, 4, to=name)
    shape = (1, 4, *CELLS)
    model = b.model({"image": (1, 3, *SIZE)}, dict.fromkeys(("boxes", "keypoints", "masks"), shape))
    graph = read_onnx(save(model, tmp_path), ["boxes"], SIZE)
    assert graph.notes == ("outputs that the description does not name were dropped: keypoints, masks",)
