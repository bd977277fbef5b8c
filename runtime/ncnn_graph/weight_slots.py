"""Which weight blobs a layer has in the .bin file: order, shape and whether each is tagged.

Facts from `load_model` of ncnn 1.0.20261020's layers. Convolution weights are (out, in / group, kernel_h,
kernel_w), deconvolution weights too (output channel first, unlike PyTorch); InnerProduct is (out, in); a
constant Gemm operand is the matrix as stored, before its own transpose flag.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from types import MappingProxyType

from pocketdet.runtime.ncnn_graph.model import Layer


@dataclass(frozen=True)
class Slot:
    """Place of one blob: `tagged` blobs choose their own storage, the others are raw float32."""

    role: str
    shape: tuple[int, ...]
    tagged: bool = False

    @property
    def count(self) -> int:
        """Number of elements."""
        return prod(self.shape)


def weight_slots(layer: Layer) -> tuple[Slot, ...]:
    """The blobs of a layer, in file order; empty for a type without weights.

    Raises GraphError for a type whose layout is not known here, and for parameters that give no sane shape.
    """
    if layer.type in WITHOUT_WEIGHTS:
        return ()
    rule = _RULES.get(layer.type)
    if rule is None:
        raise layer.error(
            f"the weight layout of layer type {layer.type} is not known, so its .bin cannot be read"
        )
    slots = rule(layer)
    for slot in slots:
        if any(size <= 0 for size in slot.shape):
            raise layer.error(f"its {slot.role} would have the shape {slot.shape}")
    return slots


def has_known_weights(layer_type: str) -> bool:
    """Whether `weight_slots` knows this layer type."""
    return layer_type in WITHOUT_WEIGHTS or layer_type in _RULES


def _bias(layer: Layer, key: int, channels: int) -> list[Slot]:
    return [Slot("bias", (channels,))] if layer.int_param(key, 0) else []


def _kernel(layer: Layer, group: int, dims: int = 2) -> Slot:
    """The tagged weight of a convolution: parameter 6 holds its element count, 0 the output channels."""
    out, count = layer.int_param(0, 0), layer.int_param(6, 0)
    kernel_w = layer.int_param(1, 0)
    kernel = (layer.int_param(11, kernel_w), kernel_w) if dims == 2 else (kernel_w,)
    per_input = out * prod(kernel)
    if out <= 0 or min(kernel) <= 0 or count <= 0 or count % per_input or group <= 0 or out % group:
        raise layer.error(
            f"{count} weights do not fit {out} output channels, kernel {kernel} (h, w) and {group} groups"
        )
    return Slot("weight", (out, count // per_input, *kernel), tagged=True)


def _convolution(layer: Layer) -> tuple[Slot, ...]:
    if layer.int_param(19, 0):
        return ()
    weight = _kernel(layer, 1)
    slots = [weight, *_bias(layer, 5, weight.shape[0])]
    scale_term = layer.int_param(8, 0)
    if scale_term:
        slots += [Slot("weight_scales", (weight.shape[0],)), Slot("input_scale", (1,))]
    if scale_term > 100:
        slots.append(Slot("output_scale", (1,)))
    return tuple(slots)


def _convolution_depthwise(layer: Layer) -> tuple[Slot, ...]:
    if layer.int_param(19, 0):
        return ()
    group, scale_term = layer.int_param(7, 1), layer.int_param(8, 0)
    weight = _kernel(layer, group)
    slots = [weight, *_bias(layer, 5, weight.shape[0])]
    if scale_term not in (0, 1, 2, 101, 102):
        raise layer.error(f"the int8 scale term must be 0, 1, 2, 101 or 102, found {scale_term}")
    if scale_term:
        slots += [Slot("weight_scales", (group if scale_term % 100 == 1 else 1,)), Slot("input_scale", (1,))]
    if scale_term > 100:
        slots.append(Slot("output_scale", (1,)))
    return tuple(slots)


def _deconvolution(layer: Layer) -> tuple[Slot, ...]:
    if layer.int_param(28, 0):
        return ()
    weight = _kernel(layer, layer.int_param(7, 1) if layer.type == "DeconvolutionDepthWise" else 1)
    return (weight, *_bias(layer, 5, weight.shape[0]))


def _deformable(layer: Layer) -> tuple[Slot, ...]:
    weight = _kernel(layer, 1)
    return (weight, *_bias(layer, 5, weight.shape[0]))


def _convolution_1d(layer: Layer) -> tuple[Slot, ...]:
    if layer.int_param(19, 0):
        return ()
    weight = _kernel(layer, layer.int_param(7, 1) if layer.type == "ConvolutionDepthWise1D" else 1, dims=1)
    return (weight, *_bias(layer, 5, weight.shape[0]))


def _inner_product(layer: Layer) -> tuple[Slot, ...]:
    out, count = layer.int_param(0, 0), layer.int_param(2, 0)
    if out <= 0 or count <= 0 or count % out:
        raise layer.error(f"{count} weights do not divide by {out} outputs")
    slots = [Slot("weight", (out, count // out), tagged=True), *_bias(layer, 1, out)]
    if layer.int_param(8, 0):
        slots += [Slot("weight_scales", (out,)), Slot("input_scale", (1,))]
    return tuple(slots)


def _gemm(layer: Layer) -> tuple[Slot, ...]:
    constant_a, constant_b, constant_c = (layer.int_param(key, 0) for key in (4, 5, 6))
    m, n, k = (layer.int_param(key, 0) for key in (7, 8, 9))
    quantize_term = layer.int_param(18, 0)
    if quantize_term >= 4:
        raise layer.error(f"block-quantised Gemm weights (quantize term {quantize_term}) are not supported")
    slots = []
    if constant_a == 1:
        slots.append(Slot("a", (m, k) if not layer.int_param(2, 0) else (k, m), tagged=True))
    if constant_b == 1:
        slots.append(Slot("b", (k, n) if not layer.int_param(3, 0) else (n, k), tagged=True))
    broadcast = layer.int_param(10, 0)
    if constant_c == 1 and broadcast != -1:
        shapes = {0: (1,), 1: (m,), 2: (m, 1), 3: (m, n), 4: (1, n)}
        if broadcast not in shapes:
            raise layer.error(f"the broadcast type of a constant C must be -1..4, found {broadcast}")
        slots.append(Slot("c", shapes[broadcast], tagged=True))
    if quantize_term and constant_a == 1:
        slots.append(Slot("a_scales", (m,)))
    if quantize_term and constant_b == 1:
        slots.append(Slot("b_scale", (1,)))
    return tuple(slots)


def _multi_head_attention(layer: Layer) -> tuple[Slot, ...]:
    embed, count = layer.int_param(0, 0), layer.int_param(2, 0)
    quantize_term = layer.int_param(18, 0)
    if embed <= 0 or count <= 0 or count % embed or quantize_term >= 4:
        raise layer.error(
            f"{count} weights, embedding {embed}, quantize term {quantize_term} are not supported"
        )
    query, sizes = count // embed, (layer.int_param(3, embed), layer.int_param(4, embed))
    slots = []
    for role, rows, columns in zip("qkvo", (embed, embed, embed, query), (query, *sizes, embed), strict=True):
        slots += [Slot(f"{role}_weight", (rows, columns), tagged=True), Slot(f"{role}_bias", (rows,))]
    if quantize_term:
        slots += [Slot(f"{role}_scales", (embed,)) for role in "qkv"] + [Slot("o_scale", (1,))]
    return tuple(slots)


def _memory_data(layer: Layer) -> tuple[Slot, ...]:
    w, h, c, d = (layer.int_param(key, 0) for key in (0, 1, 2, 11))
    load_type = layer.int_param(21, 1)
    if load_type not in (0, 1):
        raise layer.error(f"load type {load_type} is not supported, expected 0 (tagged) or 1 (raw)")
    shape = (c, d, h, w) if d else (c, h, w) if c else (h, w) if h else (w,)
    return (Slot("data", shape, tagged=load_type == 0),) if w or h or c or d else ()


def _batch_norm(layer: Layer) -> tuple[Slot, ...]:
    channels = layer.int_param(0, 0)
    return tuple(Slot(role, (channels,)) for role in ("slope", "mean", "variance", "bias"))


def _scale(layer: Layer) -> tuple[Slot, ...]:
    channels = layer.int_param(0, 0)
    if channels == -233:
        return ()
    return (Slot("scale", (channels,)), *_bias(layer, 1, channels))


def _affine(size_key: int, flag_key: int) -> Callable[[Layer], tuple[Slot, ...]]:
    """Gamma and beta of GroupNorm, LayerNorm and InstanceNorm."""

    def rule(layer: Layer) -> tuple[Slot, ...]:
        size = (layer.int_param(size_key, 0),)
        return (Slot("gamma", size), Slot("beta", size)) if layer.int_param(flag_key, 1) else ()

    return rule


def _rms_norm(layer: Layer) -> tuple[Slot, ...]:
    return (Slot("gamma", (layer.int_param(0, 0),)),) if layer.int_param(2, 1) else ()


def _one_raw(role: str, key: int, default: int) -> Callable[[Layer], tuple[Slot, ...]]:
    return lambda layer: (Slot(role, (layer.int_param(key, default),)),)


def _padding(layer: Layer) -> tuple[Slot, ...]:
    count = layer.int_param(6, 0)
    return (Slot("per_channel_value", (count,)),) if count else ()


def _dequantize(layer: Layer) -> tuple[Slot, ...]:
    bias = layer.int_param(1, 0)
    return (Slot("scale", (layer.int_param(0, 1),)), *((Slot("bias", (bias,)),) if bias else ()))


def _requantize(layer: Layer) -> tuple[Slot, ...]:
    bias = layer.int_param(2, 0)
    scales = (Slot("scale_in", (layer.int_param(0, 1),)), Slot("scale_out", (layer.int_param(1, 1),)))
    return (*scales, *((Slot("bias", (bias,)),) if bias else ()))


_RULES: Mapping[str, Callable[[Layer], tuple[Slot, ...]]] = MappingProxyType(
    {
        "BatchNorm": _batch_norm,
        "Bias": _one_raw("bias", 0, 0),
        "Convolution": _convolution,
        "Convolution1D": _convolution_1d,
        "ConvolutionDepthWise": _convolution_depthwise,
        "ConvolutionDepthWise1D": _convolution_1d,
        "Deconvolution": _deconvolution,
        "DeconvolutionDepthWise": _deconvolution,
        "DeformableConv2D": _deformable,
        "Dequantize": _dequantize,
        "Gemm": _gemm,
        "GroupNorm": _affine(1, 3),
        "InnerProduct": _inner_product,
        "InstanceNorm": _affine(0, 2),
        "LayerNorm": _affine(0, 2),
        "MemoryData": _memory_data,
        "MultiHeadAttention": _multi_head_attention,
        "Normalize": _one_raw("scale", 3, 0),
        "PReLU": _one_raw("slope", 0, 0),
        "Padding": _padding,
        "Quantize": _one_raw("scale", 0, 1),
        "RMSNorm": _rms_norm,
        "Requantize": _requantize,
        "Scale": _scale,
    }
)

_ROWS = (
    "AbsVal ArgMax BNLL BinaryOp CELU Cast Clip Concat CopyTo Crop CumulativeSum DeepCopy DetectionOutput",
    "Diag Dropout ELU Einsum Eltwise Erf Exp ExpandDims Flatten Flip Fold GELU GLU GridSample HardSigmoid",
    "HardSwish Input Interp InverseSpectrogram LRN Log MVN MatMul Mish Noop PSROIPooling Packing Permute",
    "PixelShuffle Pooling Pooling1D Pooling3D Power PriorBox Proposal ROIAlign ROIPooling ReLU Reduction",
    "Reorg Reshape RotaryEmbed SDPA SELU SPP Shrink ShuffleChannel Sigmoid Slice Softmax Softplus",
    "Spectrogram Split Squeeze StatisticsPooling Swish TanH Threshold Tile UnaryOp Unfold",
    "YoloDetectionOutput Yolov3DetectionOutput",
)
WITHOUT_WEIGHTS = frozenset(name for row in _ROWS for name in row.split())
