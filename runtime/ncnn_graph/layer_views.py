"""The parameters of layers by ncnn's own names: `Convolution.of(layer).int8_scale_term`.

A view reads and writes `Layer.params`. The id of a name is looked up for the layer's type in the table of
`runtime/native/graph/layer_types.cpp`, so that `dynamic_weight` is parameter 19 of a Convolution and 28 of a
Deconvolution. Defaults are ncnn's; a parameter that the layer's type does not have is its default.
"""

from dataclasses import replace
from typing import ClassVar, Generic, Self, TypeVar, overload

from pocketdet.runtime.ncnn_graph.layer_types import LAYER_TYPES
from pocketdet.runtime.ncnn_graph.model import Layer
from pocketdet.runtime.ncnn_graph.params import ParamValue

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
    def __init__(self, default: _T | str) -> None:
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
        default: _T = getattr(view, self._default) if isinstance(self._default, str) else self._default
        return default

    def __set__(self, view: LayerView, value: _T) -> None:
        stored: ParamValue = value
        view.layer.params[LAYER_TYPES[view.layer.type].params[self.name]] = stored

    def _read(self, layer: Layer, key: int) -> _T:
        raise NotImplementedError


class _Int(_Param[int]):
    """An integer; a default that is a name stands for that parameter's value."""

    def __init__(self, default: int | str = 0) -> None:
        super().__init__(default)

    def _read(self, layer: Layer, key: int) -> int:
        return layer.int_param(key, 0)


class _Float(_Param[float]):
    def __init__(self, default: float) -> None:
        super().__init__(default)

    def _read(self, layer: Layer, key: int) -> float:
        return layer.float_param(key, 0.0)


class _Ints(_Param[tuple[int, ...]]):
    def __init__(self) -> None:
        super().__init__(())

    def _read(self, layer: Layer, key: int) -> tuple[int, ...]:
        return layer.int_array(key)


class _Floats(_Param[tuple[float, ...]]):
    def __init__(self) -> None:
        super().__init__(())

    def _read(self, layer: Layer, key: int) -> tuple[float, ...]:
        return layer.float_array(key)


class Convolution(LayerView):
    """Convolutions of all kinds in two dimensions; `group` is 1 if the type has none."""

    types = (
        "Convolution",
        "ConvolutionDepthWise",
        "Deconvolution",
        "DeconvolutionDepthWise",
        "DeformableConv2D",
    )
    num_output = _Int()
    kernel_w = _Int()
    kernel_h = _Int("kernel_w")
    dilation_w = _Int(1)
    dilation_h = _Int("dilation_w")
    stride_w = _Int(1)
    stride_h = _Int("stride_w")
    pad_left = _Int()
    pad_right = _Int("pad_left")
    pad_top = _Int("pad_left")
    pad_bottom = _Int("pad_top")
    pad_value = _Float(0.0)
    bias_term = _Int()
    weight_data_size = _Int()
    group = _Int(1)
    int8_scale_term = _Int()
    activation_type = _Int()
    activation_params = _Floats()
    dynamic_weight = _Int()

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
    num_output = _Int()
    bias_term = _Int()
    weight_data_size = _Int()
    int8_scale_term = _Int()
    activation_type = _Int()
    activation_params = _Floats()


class Gemm(LayerView):
    """alpha * A B + beta * C, each matrix an input or a constant."""

    types = ("Gemm",)
    alpha = _Float(1.0)
    beta = _Float(1.0)
    transA = _Int()  # noqa: N815  ncnn's name, as the following
    transB = _Int()  # noqa: N815
    constantA = _Int()  # noqa: N815
    constantB = _Int()  # noqa: N815
    constantC = _Int()  # noqa: N815
    constantM = _Int()  # noqa: N815
    constantN = _Int()  # noqa: N815
    constantK = _Int()  # noqa: N815
    constant_broadcast_type_C = _Int()  # noqa: N815
    output_N1M = _Int()  # noqa: N815
    output_transpose = _Int()
    quantize_term = _Int()


class Pooling(LayerView):
    """Maximum and average pooling."""

    types = ("Pooling",)
    pooling_type = _Int()
    kernel_w = _Int()
    kernel_h = _Int("kernel_w")
    global_pooling = _Int()
    adaptive_pooling = _Int()

    @property
    def kernel(self) -> tuple[int, int]:
        """Height and width of the window."""
        return self.kernel_h, self.kernel_w


class Padding(LayerView):
    """Padding of up to three axes."""

    types = ("Padding",)
    top = _Int()
    bottom = _Int()
    value = _Float(0.0)
    per_channel_pad_data_size = _Int()
    front = _Int()
    behind = _Int()


class Crop(LayerView):
    """A part of a blob, by offsets and sizes or by starts, ends and axes."""

    types = ("Crop",)
    outc = _Int()
    starts = _Ints()
    ends = _Ints()
    axes = _Ints()


class Slice(LayerView):
    """Parts of a blob along one axis, by sizes or by first positions."""

    types = ("Slice",)
    slices = _Ints()
    axis = _Int()
    indices = _Ints()


class Sizes(LayerView):
    """The sizes of a Reshape's output or of a MemoryData's constant."""

    types = ("Reshape", "MemoryData")
    w = _Int(NOT_GIVEN)
    h = _Int(NOT_GIVEN)
    c = _Int(NOT_GIVEN)
    d = _Int(NOT_GIVEN)


class Reduction(LayerView):
    """A sum, a mean, ... over axes."""

    types = ("Reduction",)
    operation = _Int()
    reduce_all = _Int(1)
    coeff = _Float(1.0)
    axes = _Ints()


class BinaryOp(LayerView):
    """An operation on two inputs, or on one and the number `b`."""

    types = ("BinaryOp",)
    op_type = _Int()
    with_scalar = _Int()
    b = _Float(0.0)


class Eltwise(LayerView):
    """A product, a sum with coefficients or a maximum of inputs."""

    types = ("Eltwise",)
    op_type = _Int()
    coeffs = _Floats()


class UnaryOp(LayerView):
    """A function of one input."""

    types = ("UnaryOp",)
    op_type = _Int()


class Clip(LayerView):
    """Limits of the values."""

    types = ("Clip",)
    min = _Float(float("-inf"))
    max = _Float(float("inf"))


class Axis(LayerView):
    """Layers along one axis."""

    types = ("Concat", "Softmax")
    axis = _Int()


class ShuffleChannel(LayerView):
    """A permutation of channels between groups."""

    types = ("ShuffleChannel",)
    group = _Int(1)
    reverse = _Int()


class Dropout(LayerView):
    """A multiplication by `scale` at inference."""

    types = ("Dropout",)
    scale = _Float(1.0)


class ReLU(LayerView):
    """A ReLU, or a leaky one with a slope for negative values."""

    types = ("ReLU",)
    slope = _Float(0.0)


class ELU(LayerView):
    """An exponential linear unit; CELU's default of `alpha` is 1 instead of 0.1."""

    types = ("ELU", "CELU")
    alpha = _Float(0.1)


class PReLU(LayerView):
    """A leaky ReLU with one slope, or one for each channel."""

    types = ("PReLU",)
    num_slope = _Int()


VIEWS = tuple(LayerView.__subclasses__())
