"""The parameters of layers by ncnn's own names: `Convolution.of(layer).int8_scale_term`.

A view reads and writes `Layer.params`. The id of a name is looked up for the layer's type in the table of
`runtime/native/graph/layer_params.cpp`, so that `dynamic_weight` is parameter 19 of a Convolution and 28 of a
Deconvolution. Defaults are ncnn's; a parameter that the layer's type does not have is its default.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import ClassVar, Generic, Self, TypeVar, overload

from pocketdet.runtime import _core
from pocketdet.runtime.ncnn_graph.model import Layer, ParamValue


@dataclass(frozen=True)
class LayerType:
    """What a layer takes and gives.

    Attributes:
        params: Parameter ids by ncnn's names, beside 30 (shape hints) and 31 (feature mask).
        inputs, outputs: The fewest and the most blobs.
    """

    params: Mapping[str, int]
    inputs: tuple[int, int]
    outputs: tuple[int, int]


LAYER_TYPES: Mapping[str, LayerType] = MappingProxyType(
    {
        name: LayerType(MappingProxyType(params), inputs, outputs)
        for name, params, inputs, outputs in _core.graph_layer_types()
    }
)


_T = TypeVar("_T", int, float, tuple[int, ...], tuple[float, ...])

NOT_GIVEN = -233
"""ncnn's value of an array entry or a size that is not given (src/layer/slice.cpp, crop.cpp, reshape.cpp)."""


class LayerView:
    """Base of the views.

    Attributes:
        types: The layer types that a view is for.
        layer: The layer.
    """

    types: ClassVar[tuple[str, ...]]

    def __init__(self, layer: Layer) -> None:
        self.layer = layer

    @classmethod
    def of(cls, layer: Layer) -> Self:
        """Return the view of a layer, which writes to it.

        Raises:
            GraphError: The layer is of another type.
        """
        if layer.type not in cls.types:
            raise layer.error(f"is not one of the types {', '.join(cls.types)}")
        return cls(layer)

    @classmethod
    def of_copy(cls, layer: Layer) -> Self:
        """Return the view of a copy of a layer; writing to it does not change the layer."""
        return cls.of(replace(layer, params=dict(layer.params)))

    def is_given(self, name: str) -> bool:
        """Whether the layer has a value for a parameter."""
        return LAYER_TYPES[self.layer.type].params.get(name) in self.layer.params


class _Param(Generic[_T]):
    """A parameter of a view.

    Args:
        read: Reads the value of a parameter that the layer has, from the layer and the parameter's id.
        default: The value otherwise; a name stands for that parameter's value.
    """

    def __init__(self, read: Callable[[Layer, int], _T], default: _T | str) -> None:
        self._read: Callable[[Layer, int], _T] = read
        self._default: _T | str = default

    def __set_name__(self, owner: type[LayerView], name: str) -> None:
        self.name = name

    @overload
    def __get__(self, view: None, owner: type[LayerView]) -> Self: ...
    @overload
    def __get__(self, view: LayerView, owner: type[LayerView]) -> _T: ...
    def __get__(self, view: LayerView | None, owner: type[LayerView]) -> Self | _T:
        if view is None:
            return self
        key = LAYER_TYPES[view.layer.type].params.get(self.name)
        if key is not None and key in view.layer.params:
            return self._read(view.layer, key)
        if isinstance(self._default, str):
            default: _T = getattr(view, self._default)
            return default
        return self._default

    def __set__(self, view: LayerView, value: _T) -> None:
        stored: ParamValue = value
        view.layer.params[LAYER_TYPES[view.layer.type].params[self.name]] = stored


def _int(default: int | str = 0) -> _Param[int]:
    return _Param(lambda layer, key: layer.int_param(key, 0), default)


def _float(default: float) -> _Param[float]:
    return _Param(lambda layer, key: layer.float_param(key, 0.0), default)


def _ints() -> _Param[tuple[int, ...]]:
    return _Param(lambda layer, key: layer.int_array(key), ())


def _floats() -> _Param[tuple[float, ...]]:
    return _Param(lambda layer, key: layer.float_array(key), ())


class Convolution(LayerView):
    """Convolutions of all kinds in two dimensions; `group` is 1 if the type has none."""

    types = (
        "Convolution",
        "ConvolutionDepthWise",
        "Deconvolution",
        "DeconvolutionDepthWise",
        "DeformableConv2D",
    )
    num_output = _int()
    kernel_w = _int()
    kernel_h = _int("kernel_w")
    dilation_w = _int(1)
    dilation_h = _int("dilation_w")
    stride_w = _int(1)
    stride_h = _int("stride_w")
    pad_left = _int()
    pad_right = _int("pad_left")
    pad_top = _int("pad_left")
    pad_bottom = _int("pad_top")
    pad_value = _float(0.0)
    bias_term = _int()
    weight_data_size = _int()
    group = _int(1)
    int8_scale_term = _int()
    activation_type = _int()
    activation_params = _floats()
    dynamic_weight = _int()

    @property
    def kernel(self) -> tuple[int, int]:
        """Height and width of the kernel."""
        return self.kernel_h, self.kernel_w

    @property
    def stride(self) -> tuple[int, int]:
        """Stride along height and width."""
        return self.stride_h, self.stride_w

    @property
    def dilation(self) -> tuple[int, int]:
        """Dilation along height and width."""
        return self.dilation_h, self.dilation_w


class InnerProduct(LayerView):
    """A fully connected layer."""

    types = ("InnerProduct",)
    num_output = _int()
    bias_term = _int()
    weight_data_size = _int()
    int8_scale_term = _int()
    activation_type = _int()
    activation_params = _floats()


class Gemm(LayerView):
    """alpha * A B + beta * C, each matrix an input or a constant."""

    types = ("Gemm",)
    alpha = _float(1.0)
    beta = _float(1.0)
    transA = _int()  # noqa: N815  ncnn's name, as the following
    transB = _int()  # noqa: N815
    constantA = _int()  # noqa: N815
    constantB = _int()  # noqa: N815
    constantC = _int()  # noqa: N815
    constantM = _int()  # noqa: N815
    constantN = _int()  # noqa: N815
    constantK = _int()  # noqa: N815
    constant_broadcast_type_C = _int()  # noqa: N815
    output_N1M = _int()  # noqa: N815
    output_transpose = _int()
    quantize_term = _int()


class Pooling(LayerView):
    """Maximum and average pooling."""

    types = ("Pooling",)
    pooling_type = _int()
    kernel_w = _int()
    kernel_h = _int("kernel_w")
    global_pooling = _int()
    adaptive_pooling = _int()

    @property
    def kernel(self) -> tuple[int, int]:
        """Height and width of the window."""
        return self.kernel_h, self.kernel_w


class Padding(LayerView):
    """Padding of up to three axes."""

    types = ("Padding",)
    top = _int()
    bottom = _int()
    value = _float(0.0)
    per_channel_pad_data_size = _int()
    front = _int()
    behind = _int()


class Crop(LayerView):
    """A part of a blob, by offsets and sizes or by starts, ends and axes."""

    types = ("Crop",)
    outc = _int()
    starts = _ints()
    ends = _ints()
    axes = _ints()


class Slice(LayerView):
    """Parts of a blob along one axis, by sizes or by first positions."""

    types = ("Slice",)
    slices = _ints()
    axis = _int()
    indices = _ints()


class Sizes(LayerView):
    """The sizes of a Reshape's output or of a MemoryData's constant."""

    types = ("Reshape", "MemoryData")
    w = _int(NOT_GIVEN)
    h = _int(NOT_GIVEN)
    c = _int(NOT_GIVEN)
    d = _int(NOT_GIVEN)


class Reduction(LayerView):
    """A sum, a mean, ... over axes."""

    types = ("Reduction",)
    operation = _int()
    reduce_all = _int(1)
    coeff = _float(1.0)
    axes = _ints()


class BinaryOp(LayerView):
    """An operation on two inputs, or on one and the number `b`."""

    types = ("BinaryOp",)
    op_type = _int()
    with_scalar = _int()
    b = _float(0.0)


class Eltwise(LayerView):
    """A product, a sum with coefficients or a maximum of inputs."""

    types = ("Eltwise",)
    op_type = _int()
    coeffs = _floats()


class UnaryOp(LayerView):
    """A function of one input."""

    types = ("UnaryOp",)
    op_type = _int()


class Clip(LayerView):
    """Limits of the values."""

    types = ("Clip",)
    min = _float(float("-inf"))
    max = _float(float("inf"))


class Axis(LayerView):
    """Layers along one axis."""

    types = ("Concat", "Softmax")
    axis = _int()


class ShuffleChannel(LayerView):
    """A permutation of channels between groups."""

    types = ("ShuffleChannel",)
    group = _int(1)
    reverse = _int()


class Dropout(LayerView):
    """A multiplication by `scale` at inference."""

    types = ("Dropout",)
    scale = _float(1.0)


class ReLU(LayerView):
    """A ReLU, or a leaky one with a slope for negative values."""

    types = ("ReLU",)
    slope = _float(0.0)


class ELU(LayerView):
    """An exponential linear unit; CELU's default of `alpha` is 1 instead of 0.1."""

    types = ("ELU", "CELU")
    alpha = _float(0.1)


class PReLU(LayerView):
    """A leaky ReLU with one slope, or one for each channel."""

    types = ("PReLU",)
    num_slope = _int()


VIEWS = tuple(LayerView.__subclasses__())
