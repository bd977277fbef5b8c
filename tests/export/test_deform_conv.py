"""ONNX DeformConv becomes ncnn's DeformableConv2D with the same answers, or is refused in one sentence."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from pocketdet.errors import ExportError
from pocketdet.export.passes.deform_conv import read_attributes, use_deformable_layers
from pocketdet.export.passes.reductions import lost_axes, restore_axes
from pocketdet.export.to_ncnn import to_ncnn
from pocketdet.runtime.bundle.schema import GraphSpec, TensorSpec
from pocketdet.runtime.engines.ncnn_engine import NcnnEngine
from pocketdet.runtime.ncnn_graph import Graph, Layer, read_param

CHANNELS, SIZE = 4, (9, 11)


def deformable(
    folder: Path,
    kernel: tuple[int, int],
    out: int,
    *,
    bias: bool = True,
    mask: bool = False,
    times: int = 1,
    **attributes: object,
) -> Path:
    """An ONNX file whose `times` deformable convolutions share weights; offsets come from a convolution."""
    rng = np.random.default_rng(3)
    taps = kernel[0] * kernel[1]
    geometry = {k: attributes[k] for k in ("strides", "pads", "dilations") if k in attributes}
    groups = int(attributes.get("offset_group", 1))  # type: ignore[call-overload]

    def noise(name: str, *shape: int, scale: float = 0.4) -> onnx.TensorProto:
        return numpy_helper.from_array((scale * rng.normal(size=shape)).astype(np.float32), name)

    constants = [
        noise("w", out, CHANNELS // int(attributes.get("group", 1)), *kernel),  # type: ignore[call-overload]
        noise("b", out),
        noise("ow", 2 * taps * groups, CHANNELS, *kernel),
        noise("mw", taps, CHANNELS, *kernel),
    ]
    nodes = [helper.make_node("Conv", ["image", "ow"], ["offset"], **geometry)]
    if mask:
        nodes += [
            helper.make_node("Conv", ["image", "mw"], ["raw"], **geometry),
            helper.make_node("Sigmoid", ["raw"], ["mask"]),
        ]
    inputs = ["image", "w", "offset", *(["b"] if bias else [""] if mask else []), *(["mask"] if mask else [])]
    results = [f"part{i}" for i in range(times)]
    nodes += [helper.make_node("DeformConv", inputs, [r], kernel_shape=kernel, **attributes) for r in results]
    if times > 1:
        nodes.append(helper.make_node("Concat", results, ["joined"], axis=1))
    nodes.append(helper.make_node("Tanh", ["joined" if times > 1 else "part0"], ["maps"]))
    source = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, CHANNELS, *SIZE])
    target = helper.make_tensor_value_info("maps", TensorProto.FLOAT, [1, out * times, None, None])
    used = [c for c in constants if (c.name != "b" or bias) and (c.name != "mw" or mask)]
    graph = helper.make_graph(nodes, "g", [source], [target], used)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)
    path = folder / "g.onnx"
    onnx.save(model, path)
    return path


def convert(path: Path, **kwargs: object) -> Graph:
    folder = path.parent
    shape = (1, CHANNELS, *SIZE)
    return to_ncnn(
        path,
        folder / "p",
        folder / "b",
        input_shape=shape,
        input_name="image",
        output_names=["maps"],
        **kwargs,
    )


GEOMETRIES = [
    {"pads": [1, 1, 1, 1]},
    {},
    {"strides": [2, 1], "pads": [1, 0, 2, 1], "dilations": [1, 2]},
    {"strides": [1, 3], "pads": [0, 2, 1, 1]},
]


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=["same", "valid", "uneven", "strided"])
@pytest.mark.parametrize(("kernel", "out"), [((3, 3), 6), ((2, 3), 4), ((1, 1), 5)])
@pytest.mark.parametrize(("bias", "mask"), [(True, False), (False, False), (True, True)])
def test_any_geometry_gives_the_answers_of_onnxruntime(
    tmp_path: Path, geometry: dict[str, object], kernel: tuple[int, int], out: int, bias: bool, mask: bool
) -> None:
    path = deformable(tmp_path, kernel, out, bias=bias, mask=mask, **geometry)
    graph = convert(path)
    (layer,) = (layer for layer in graph.layers if layer.type == "DeformableConv2D")
    assert len(layer.inputs) == 3 if mask else 2
    assert not [layer for layer in graph.layers if layer.type in ("DeformConv", "MemoryData")]
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    ncnn = engine(tmp_path)
    for seed in (0, 1):
        image = np.random.default_rng(seed).normal(size=(CHANNELS, *SIZE)).astype(np.float32)
        (expected,) = session.run(None, {"image": image[None]})
        found = ncnn.run("model", {"image": image})["maps"]
        # offsets off by 1e-6 in another order of additions are 36 products of noise off by as much
        np.testing.assert_allclose(found, expected[0], rtol=0, atol=1e-4)


def engine(folder: Path) -> NcnnEngine:
    source = TensorSpec(blob="image", role="image", shape=(CHANNELS, *SIZE))
    target = TensorSpec(blob="maps", role="maps", shape=(1, 1, 1))
    spec = GraphSpec(param="p", bin="b", onnx=None, inputs=(source,), outputs=(target,))
    return NcnnEngine({"model": spec}, folder.joinpath)


def test_shared_weights_leave_no_constants_and_no_name_twice(tmp_path: Path) -> None:
    graph = convert(deformable(tmp_path, (3, 3), 5, times=3))
    kinds = [layer.type for layer in graph.layers]
    assert kinds.count("DeformableConv2D") == 3
    assert "MemoryData" not in kinds
    names = [layer.name for layer in graph.layers]
    assert len(set(names)) == len(names)


def test_half_precision_halves_the_weights(tmp_path: Path) -> None:
    graph = convert(deformable(tmp_path, (3, 3), 5), storage="fp16")
    (layer,) = (layer for layer in graph.layers if layer.type == "DeformableConv2D")
    assert {role: weight.storage for role, weight in layer.weights.items()} == {
        "weight": "fp16",
        "bias": "raw",
    }


@pytest.mark.parametrize("attribute", ["group", "offset_group"])
def test_groups_are_refused(tmp_path: Path, attribute: str) -> None:
    path = deformable(tmp_path, (3, 3), 4, pads=[1, 1, 1, 1], **{attribute: 2})
    with pytest.raises(ExportError, match=rf"'DeformConv_.*{attribute} 2; ncnn has them with one group"):
        convert(path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["g.onnx"]


def test_weights_that_are_computed_are_refused() -> None:
    text = "7767517\n3 4\nInput a 0 1 a\nSplit s 1 2 a b c\nDeformConv d 3 1 b c x y\n"
    with pytest.raises(ExportError, match="operator 'd': the weights .* must be constant"):
        use_deformable_layers(read_param(text), {})


def test_attributes_are_read_from_pnnx() -> None:
    text = (
        "7767517\n1 1\nDeformConv  D_1  4 1 a b c d e dilations=(1,2) group=2 pads=(0,-1,2,3) #a=(1,2)f32\n"
    )
    assert read_attributes(text) == {"D_1": {"dilations": (1, 2), "group": (2,), "pads": (0, -1, 2, 3)}}


def test_a_graph_without_any_is_left_alone() -> None:
    layers = [Layer("Input", "in", [], ["x"]), Layer("MemoryData", "m", [], ["y"], {0: 1})]
    assert use_deformable_layers(Graph(list(layers)), {}).layers == layers


REDUCED = "7767517\n3 3\nInput a 0 1 a\nReduction r 1 1 a b 0=0 1=0 -23303=0 4=1 5=1\nReLU x 1 1 b c\n"


def test_the_axis_of_a_reduction_comes_back() -> None:
    lines = "torch.sum  s 1 1 1 2 dim=1 keepdim=True\ntorch.mean  m 1 1 2 3 dim=(2,3)\n"
    assert lost_axes(lines) == [0]
    assert lost_axes("torch.amax s 1 1 1 2 dim=-3 keepdim=True") == [-3]
    graph = restore_axes(read_param(REDUCED), [0])
    assert graph.layer("r").params[3] == (0,)


def test_axes_that_cannot_be_told_apart_are_refused() -> None:
    with pytest.raises(ExportError, match="1 reductions without an axis and 2 operators"):
        restore_axes(read_param(REDUCED), [0, 1])
