"""A graph is cut at any tensor; nothing behind it stays."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper
from onnx_builder import OnnxBuilder, images, run

from pocketdet.errors import UsageError
from pocketdet.export.onnx_graph.cut import cut, cut_points
from pocketdet.export.onnx_graph.graph import GraphIndex

FILE = Path("model.onnx")
SHAPE = (1, 3, 16, 16)


def _chain() -> onnx.ModelProto:
    """image - Conv - Relu (inner) - Conv (out), with a second output."""
    b = OnnxBuilder()
    b.add("Relu", b.conv("image", 3, 4, 3, 2), to="inner")
    b.conv("inner", 4, 6, to="out")
    b.add("Sigmoid", "out", to="other")
    return b.model({"image": SHAPE}, {"out": (1, 6, 8, 8), "other": (1, 6, 8, 8)})


def test_an_inner_tensor_is_an_output_and_what_lies_behind_it_is_dropped() -> None:
    model, whole = _chain(), _chain()
    whole.graph.output.append(helper.make_tensor_value_info("inner", TensorProto.FLOAT, None))
    assert cut(model, ["inner"], FILE) == ("out", "other")
    assert [node.op_type for node in model.graph.node] == ["Conv", "Relu"]
    assert len(model.graph.initializer) == 2
    for image in images(*SHAPE):
        found, expected = run(model, {"image": image}), run(whole, {"image": image})
        assert np.array_equal(found["inner"], expected["inner"])


def test_outputs_have_the_order_of_the_description() -> None:
    model = _chain()
    assert cut(model, ["other", "inner"], FILE) == ("out",)
    assert [output.name for output in model.graph.output] == ["other", "inner"]
    assert len(model.graph.node) == 4


def test_an_input_that_nothing_reads_any_more_is_dropped() -> None:
    model = _chain()
    model.graph.input.append(helper.make_tensor_value_info("scale", TensorProto.FLOAT, [1]))
    model.graph.node.append(helper.make_node("Mul", ["out", "scale"], ["scaled"]))
    cut(model, ["out"], FILE)
    assert [value.name for value in model.graph.input] == ["image"]


def test_an_unknown_name_lists_outputs_and_similar_tensors() -> None:
    with pytest.raises(UsageError) as caught:
        cut(_chain(), ["inne"], FILE)
    assert str(caught.value) == (
        "model.onnx has no output 'inne': its outputs are out, other; "
        "inner tensors of a similar name are inner"
    )


def _top_k() -> onnx.ModelProto:
    """Boxes and scores of 64 anchors, of which TopK takes 5."""
    b = OnnxBuilder()
    head = b.conv("image", 3, 6, 3, 2)
    cells = b.add("Slice", b.add("Shape", head), b.ints(0), b.ints(1))  # shapes are no detections
    flat = b.add("Reshape", head, b.add("Concat", cells, b.ints(6, 64), axis=0))
    b.add("Transpose", flat, perm=[0, 2, 1], to="all")
    four_two = b.ints(4, 2)
    b.nodes.append(helper.make_node("Split", ["all", four_two], ["boxes", "scores"], axis=2))
    best = b.add("ReduceMax", "scores", axes=[2], keepdims=0)
    b.nodes.append(helper.make_node("TopK", [best, b.ints(5)], ["values", "order"], axis=1))
    index = b.add("Expand", b.add("Unsqueeze", "order", b.ints(2)), b.ints(1, 5, 4))
    b.add("GatherElements", "boxes", index, axis=1, to="chosen")
    return b.model({"image": SHAPE}, {"chosen": (1, 5, 4), "values": (1, 5)})


@pytest.mark.parametrize("name", ["chosen", "values"])
def test_what_lies_behind_top_k_is_refused_with_the_tensor_to_cut_at(name: str) -> None:
    with pytest.raises(UsageError, match=f"'{name}' lies behind TopK.* name 'all' instead"):
        cut(_top_k(), [name], FILE)


def test_a_head_with_top_k_is_cut_before_it() -> None:
    model = _top_k()
    assert cut_points(GraphIndex(model.graph), ["chosen"]) == ("all",)
    cut(model, ["all"], FILE)
    assert "TopK" not in {node.op_type for node in model.graph.node}
    (image, _) = images(*SHAPE)
    assert run(model, {"image": image})["all"].shape == (1, 64, 6)


def test_non_maximum_suppression_names_boxes_and_scores() -> None:
    b = OnnxBuilder()
    b.add("Reshape", b.conv("image", 3, 4, 3, 2), b.ints(1, 64, 4), to="boxes")
    b.add("Sigmoid", b.add("Reshape", b.conv("image", 3, 2, 3, 2), b.ints(1, 2, 64)), to="scores")
    limit = b.constant(np.array([10], np.int64))
    b.add("NonMaxSuppression", "boxes", "scores", limit, to="chosen")
    model = b.model({"image": SHAPE}, {"chosen": None})
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.INT64
    with pytest.raises(UsageError, match="behind NonMaxSuppression.* name 'boxes' and 'scores' instead"):
        cut(model, ["chosen"], FILE)


@given(st.lists(st.lists(st.integers(0, 7), min_size=1, max_size=3), min_size=1, max_size=8), st.data())
@settings(max_examples=60, deadline=None)
def test_any_graph_keeps_the_values_of_its_tensors(sources: list[list[int]], data: st.DataObject) -> None:
    """Node i sums earlier tensors; `sources` says which, modulo their number."""
    b = OnnxBuilder()
    names = ["image"]
    for one in sources:
        inputs = [names[place % len(names)] for place in one]
        names.append(b.add("Sum", *inputs, b.constant(np.full(1, len(names), np.float32))))
    wanted = data.draw(st.lists(st.sampled_from(names[1:]), min_size=1, max_size=3, unique=True))
    model = b.model({"image": (1, 3)}, dict.fromkeys(names[1:], (1, 3)))
    (image, _) = images(1, 3)
    expected = run(model, {"image": image})
    needed = len(GraphIndex(model.graph).before(wanted))
    cut(model, wanted, FILE)
    onnx.checker.check_model(model)
    assert len(model.graph.node) == len(model.graph.initializer) == needed
    if not any(value.name == "image" for value in model.graph.input):
        return
    found = run(model, {"image": image})
    assert list(found) == wanted
    assert all(np.array_equal(found[name], expected[name]) for name in wanted)
