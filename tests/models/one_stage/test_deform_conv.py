import itertools
import math

import ncnn
import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper
from reference_deform_conv import deform_conv2d
from torch.nn import functional as F

from pocketdet.errors import UsageError
from pocketdet.models.ops.deform_conv import DeformConv2d

# kernel (rows, columns), stride, padding, dilation, groups, offset groups, (height, width)
GRID = [
    ((1, 1), 1, 0, 1, 1, 1, (4, 5)),
    ((3, 3), 1, 1, 1, 1, 1, (5, 6)),
    ((3, 3), 2, 1, 1, 2, 1, (7, 6)),
    ((3, 3), 1, 2, 2, 1, 2, (6, 5)),
    ((5, 5), 1, 2, 1, 1, 1, (6, 6)),
    ((3, 1), 1, 0, 1, 4, 4, (5, 3)),
    ((2, 3), 3, 2, 2, 2, 2, (8, 9)),
    ((5, 3), 2, 0, 1, 1, 4, (9, 8)),
]


def sample(plane, y, x):
    """Bilinear, zero beyond the plane."""
    height, width = plane.shape
    if not (y > -1 and y < height and x > -1 and x < width):
        return 0.0
    total = 0.0
    for row, column in itertools.product(
        (math.floor(y), math.floor(y) + 1), (math.floor(x), math.floor(x) + 1)
    ):
        if 0 <= row < height and 0 <= column < width:
            total += (1 - abs(y - row)) * (1 - abs(x - column)) * plane[row, column]
    return total


def by_hand(x, offset, weight, bias, stride, padding, dilation):
    n, channels = x.shape[:2]
    out_channels, per_group, kh, kw = weight.shape
    groups = channels // per_group
    offset_groups = offset.shape[1] // (2 * kh * kw)
    out = np.zeros((n, out_channels, *offset.shape[2:]))
    for b, o, oy, ox in np.ndindex(out.shape):
        total = bias[o]
        for c, i, j in np.ndindex(per_group, kh, kw):
            channel = o // (out_channels // groups) * per_group + c
            tap = channel // (channels // offset_groups) * kh * kw + i * kw + j
            dy, dx = offset[b, 2 * tap, oy, ox], offset[b, 2 * tap + 1, oy, ox]
            y = oy * stride - padding + i * dilation + dy
            at = ox * stride - padding + j * dilation + dx
            total += weight[o, c, i, j] * sample(x[b, channel], y, at)
        out[b, o, oy, ox] = total
    return out


def case(row, seed=0, dtype=torch.float32):
    (kh, kw), stride, padding, dilation, groups, offset_groups, (height, width) = row
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(2, 4, height, width, generator=g, dtype=dtype)
    h = (height + 2 * padding - dilation * (kh - 1) - 1) // stride + 1
    w = (width + 2 * padding - dilation * (kw - 1) - 1) // stride + 1
    offset = 2.5 * torch.randn(2, 2 * offset_groups * kh * kw, h, w, generator=g, dtype=dtype)
    weight = torch.randn(8, 4 // groups, kh, kw, generator=g, dtype=dtype)
    bias = torch.randn(8, generator=g, dtype=dtype)
    return x, offset, weight, bias, {"stride": stride, "padding": padding, "dilation": dilation}


@pytest.mark.parametrize("row", GRID)
def test_equals_loops(row):
    x, offset, weight, bias, geometry = case(row, dtype=torch.float64)
    expected = by_hand(*(t.numpy() for t in (x, offset, weight, bias)), *geometry.values())
    np.testing.assert_allclose(deform_conv2d(x, offset, weight, bias, **geometry), expected, atol=1e-12)


@pytest.mark.parametrize("row", GRID)
def test_equals_onnxruntime(row):
    (kh, kw), stride, padding, dilation, groups, offset_groups, _ = row
    x, offset, weight, bias, geometry = case(row, seed=1)
    node = helper.make_node(
        "DeformConv",
        ["x", "w", "o", "b"],
        ["y"],
        kernel_shape=[kh, kw],
        strides=[stride] * 2,
        pads=[padding] * 4,
        dilations=[dilation] * 2,
        group=groups,
        offset_group=offset_groups,
    )
    feeds = {"x": x.numpy(), "w": weight.numpy(), "o": offset.numpy(), "b": bias.numpy()}
    inputs = [helper.make_tensor_value_info(k, TensorProto.FLOAT, v.shape) for k, v in feeds.items()]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2, 8, *offset.shape[2:]])]
    graph = helper.make_graph([node], "g", inputs, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)
    onnx.checker.check_model(model)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    ours = deform_conv2d(x, offset, weight, bias, **geometry)
    np.testing.assert_allclose(ours.numpy(), session.run(None, feeds)[0], rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(("channels", "outputs", "kernel"), [(3, 4, 3), (8, 25, 3), (16, 16, 5), (12, 85, 5)])
def test_equals_ncnn(tmp_path, channels, outputs, kernel, packed):
    g = torch.Generator().manual_seed(2)
    x, bias = torch.randn(channels, 5, 7, generator=g), torch.randn(outputs, generator=g)
    weight = torch.randn(outputs, channels, kernel, kernel, generator=g)
    offset = 2 * torch.randn(2 * kernel * kernel, 5, 7, generator=g)
    layer = f"DeformableConv2D d 2 1 x o y 0={outputs} 1={kernel} 4={kernel // 2} 5=1 6={weight.numel()}"
    (tmp_path / "net.param").write_text(f"7767517\n3 3\nInput x 0 1 x\nInput o 0 1 o\n{layer}\n")
    (tmp_path / "net.bin").write_bytes(bytes(4) + weight.numpy().tobytes() + bias.numpy().tobytes())
    net = ncnn.Net()
    net.opt.use_packing_layout, net.opt.num_threads = packed, 1
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
    assert net.load_param(str(tmp_path / "net.param")) == net.load_model(str(tmp_path / "net.bin")) == 0
    extractor = net.create_extractor()
    blobs = [ncnn.Mat(t.numpy()).clone() for t in (x, offset)]
    assert [extractor.input(name, blob) for name, blob in zip("xo", blobs, strict=True)] == [0, 0]
    code, found = extractor.extract("y")
    assert code == 0
    ours = deform_conv2d(x[None], offset[None], weight, bias, padding=kernel // 2)[0].numpy()
    np.testing.assert_allclose(np.array(found), ours, rtol=1e-4, atol=1e-4 * np.abs(ours).max())


@pytest.mark.parametrize("row", GRID)
def test_without_offsets_it_is_a_convolution(row):
    x, offset, weight, bias, geometry = case(row)
    expected = F.conv2d(x, weight, bias, groups=4 // weight.shape[1], **geometry)
    ours = deform_conv2d(x, torch.zeros_like(offset), weight, bias, **geometry)
    torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-5)


def test_gradients():
    x, offset, weight, bias, geometry = case(((3, 3), 1, 1, 1, 2, 2, (4, 3)), dtype=torch.float64)
    arguments = [t.requires_grad_() for t in (x[:1].clone(), offset[:1].clone(), weight, bias)]
    assert torch.autograd.gradcheck(lambda *a: deform_conv2d(*a, **geometry), arguments)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e30, -1e30])
def test_offsets_far_away_or_not_numbers_sample_zero(value):
    x, offset, weight, bias, geometry = case(GRID[1])
    out = deform_conv2d(x, torch.full_like(offset, value), weight, bias, **geometry)
    torch.testing.assert_close(out, bias[None, :, None, None].expand_as(out))


def test_module_keeps_the_size():
    conv = DeformConv2d(3, 4, 5)
    assert conv(torch.rand(2, 3, 6, 7), torch.rand(2, 50, 6, 7)).shape == (2, 4, 6, 7)


@pytest.mark.parametrize(
    ("offset", "weight", "message"),
    [
        ((1, 18, 4, 4), (2, 4, 3, 3), "expected (N, ., h, w) = (1, 5, 5)"),
        ((1, 17, 5, 5), (2, 4, 3, 3), "17 offset channels"),
        ((1, 54, 5, 5), (2, 4, 3, 3), "54 offset channels"),
        ((1, 18, 5, 5), (2, 3, 3, 3), "does not divide 4 channels"),
        ((1, 18, 5, 5), (3, 2, 3, 3), "does not divide 4 channels"),
    ],
)
def test_shapes_that_do_not_fit(offset, weight, message):
    with pytest.raises(UsageError) as error:
        deform_conv2d(torch.zeros(1, 4, 5, 5), torch.zeros(offset), torch.zeros(weight), padding=1)
    assert message in str(error.value)
