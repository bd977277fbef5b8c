"""What an ONNX file contains, at any size of its input."""

from pathlib import Path

import pytest
from onnx_builder import OnnxBuilder, save

from pocketdet.errors import UsageError
from pocketdet.export.onnx_graph.summary import TensorInfo, summarise


def _two_level_head(height: int | str, width: int | str) -> OnnxBuilder:
    """Two maps of 6 channels at strides 4 and 8, one of them as rows."""
    b = OnnxBuilder()
    x = b.add("Relu", b.conv("image", 3, 8, 3, 4))
    b.conv(x, 8, 6, to="fine")
    coarse = b.conv(b.add("Relu", b.conv(x, 8, 8, 3, 2)), 8, 6, to="coarse")
    flat = b.add("Reshape", coarse, b.ints(1, 6, -1))
    b.add("Transpose", flat, perm=[0, 2, 1], to="rows")
    return b


@pytest.mark.parametrize("size", [(32, 32), (64, 48)])
def test_shapes_are_those_at_the_size_of_the_input(tmp_path: Path, size: tuple[int, int]) -> None:
    b = _two_level_head("h", "w")
    model = b.model(
        {"image": (1, 3, "h", "w")},
        {"fine": (1, 6, "h4", "w4"), "rows": None},
        metadata={"names": "{0: 'bolt'}"},
    )
    summary = summarise(save(model, tmp_path))
    assert summary.opset == 13
    assert summary.inputs == (TensorInfo("image", "float32", (1, 3, "h", "w")),)
    assert summary.outputs[0].shape == (1, 6, "h4", "w4")
    assert summary.metadata == {"names": "{0: 'bolt'}"}
    assert summary.operators["Conv"] == 4
    assert summary.input_size is None
    with pytest.raises(UsageError, match="the size of its input 'image' is free"):
        _ = summary.model
    summary = summary.at(size)
    height, width = size
    assert summary.shape_of("fine") == (1, 6, height // 4, width // 4)
    assert summary.field_shape("rows") == (height * width // 64, 6)
    assert [(c.name, c.stride) for c in summary.candidates] == [("fine", (4, 4)), ("coarse", (8, 8))]
    assert {node.op_type for node in summary.nodes_before("fine")} == {"Conv", "Relu"}
    assert len(summary.nodes_before("rows")) == 7
    with pytest.raises(UsageError, match="no tensor 'nothing'"):
        summary.shape_of("nothing")


def test_a_file_of_fixed_size_needs_no_size(tmp_path: Path) -> None:
    b = _two_level_head(32, 32)
    path = save(b.model({"image": (1, 3, 32, 32)}, {"rows": None}), tmp_path)
    assert summarise(path).field_shape("rows") == (16, 6)
    with pytest.raises(UsageError, match=r"its input is \(1, 3, 32, 32\)"):
        _ = summarise(path, (64, 64)).model


def test_channels_last_is_recognised(tmp_path: Path) -> None:
    b = OnnxBuilder()
    b.conv(b.add("Transpose", "image", perm=[0, 3, 1, 2]), 3, 4, to="map")
    summary = summarise(save(b.model({"image": (1, 24, 32, 3)}, {"map": None}), tmp_path))
    assert summary.image.channels_last
    assert summary.input_size == (24, 32)
    assert summary.field_shape("map") == (4, 24, 32)


@pytest.mark.parametrize(("shape", "words"), [((1, 3, 8), "of four axes"), ((1, 8), "of four axes")])
def test_an_input_that_is_no_image_is_refused(tmp_path: Path, shape: tuple[int, ...], words: str) -> None:
    b = OnnxBuilder()
    b.add("Relu", "signal", to="out")
    summary = summarise(save(b.model({"signal": shape}, {"out": None}), tmp_path))
    with pytest.raises(UsageError, match=words):
        _ = summary.image
