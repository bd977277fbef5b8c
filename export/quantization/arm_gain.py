"""What int8 gains on ARM cores: the cycles of a graph in half precision and in int8, predicted.

The cycles of a layer are predicted as a sum of rates times amounts: multiply-accumulates, values read and
values written. `python -m pocketdet.armmodel.int8_rates` fits the rates to modelled cycles of the C++
detector with its own kernels, on one thread. Nothing is measured.
"""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict

from pocketdet.runtime.ncnn_graph import Graph, Layer, Shape, count_macs
from pocketdet.runtime.ncnn_graph.layer_views import Convolution, Gemm, InnerProduct, Pooling

RATES: Final = Path(__file__).with_name("arm_rates.json")

Amounts = tuple[float, float, float]
"""Of a layer: multiply-accumulates (of pooling: values compared or added), values read, values written."""

LEAST_LOSS: Final = 0.0025
"""Of the cycles of a graph in fp16: what a layer must lose in int8 to count as slower.

Below, the rates are no proof, and the kernel of the first convolution is the same in both.
"""

LANES: Final = 8  # halves in a vector; the kernels read and write whole vectors of channels
_PLAIN_ACTIVATIONS: Final = (0, 1, 2, 4, 6)  # of ncnn: none, ReLU, leaky ReLU, sigmoid, HardSwish
_STEM_KERNELS: Final = ((2, 2), (3, 3), (6, 6))
_PRODUCT: Final = "1x1"
_FREE: Final = frozenset({"Input", "MemoryData", "Split", "Noop", "Reshape", "Flatten", "Dropout"})
_GROUPS: Final = {
    "copy": ("Concat", "Crop", "Permute", "ShuffleChannel", "Slice"),
    "pooling": ("Interp", "Pooling", "Reduction"),
    "exponential": ("GELU", "Mish", "Sigmoid", "Softmax", "Swish", "TanH"),
}
_GROUP_OF: Final = {layer: group for group, layers in _GROUPS.items() for layer in layers}


@dataclass(frozen=True)
class LayerWork:
    """One layer that takes time.

    Attributes:
        name: of the layer.
        group: of the layers that have the same rates.
        amounts: of its work.
        int8: whether it computes in int8.
    """

    name: str
    group: str
    amounts: Amounts
    int8: bool

    def kind(self, others: str, *, int8: bool = True) -> str:
        """The key of its rates, if layers that are not int8 compute in `others`; without int8 all do."""
        return f"int8, others {others}" if self.int8 and int8 else others


def layer_works(graph: Graph, shapes: Mapping[str, Shape]) -> list[LayerWork]:
    """The work of the layers of a graph.

    Args:
        graph: in int8 or in fp32.
        shapes: of all its blobs, (c, h, w) or (rows, columns).
    """
    works = []
    for layer, cost in zip(graph.layers, count_macs(graph, shapes), strict=True):
        if layer.type in _FREE:
            continue
        read, written = (sum(prod(shapes[blob]) for blob in blobs) for blobs in (layer.inputs, layer.outputs))
        group = _group(layer, shapes[layer.inputs[0]], shapes[layer.outputs[0]])
        macs = float(cost.macs or _window(layer) * written)
        works.append(LayerWork(layer.name, group, (macs, read, written), _is_int8(layer)))
    return works


def _window(layer: Layer) -> int:
    """The values of which a pooling layer makes one, 0 for other layers and for means of whole maps."""
    if layer.type != "Pooling" or Pooling.of(layer).global_pooling or Pooling.of(layer).adaptive_pooling:
        return 0
    return prod(Pooling.of(layer).kernel)


def _is_int8(layer: Layer) -> bool:
    if layer.type == "Gemm":
        return Gemm.of(layer).quantize_term != 0
    if layer.type == "InnerProduct":
        return InnerProduct.of(layer).int8_scale_term != 0
    return layer.type in Convolution.types and Convolution.of(layer).int8_scale_term != 0


def _group(layer: Layer, source: Shape, out: Shape) -> str:
    if layer.type in ("Gemm", "InnerProduct"):
        return _PRODUCT  # the kernels are those of 1x1 convolutions
    if layer.type in Convolution.types:
        return _convolution_group(layer.type, Convolution.of(layer), source, out)
    return _GROUP_OF.get(layer.type, "elementwise")


def _convolution_group(kind: str, convolution: Convolution, source: Shape, out: Shape) -> str:
    """The group by what the kernels of the C++ detector, and of ncnn, distinguish."""
    is_even = source[0] % LANES == 0 and out[0] % LANES == 0
    is_plain = convolution.activation_type in _PLAIN_ACTIVATIONS
    if convolution.group > 1:
        if not convolution.group == source[0] == out[0]:
            return "grouped"
        size = "5x5" if prod(convolution.kernel) > 9 else "3x3"
        return f"depthwise {size}" if is_even else "depthwise, odd channels"
    if kind != "Convolution":
        return "deconvolution" if kind == "Deconvolution" else "deformable"
    if source[0] <= 4:
        has_form = convolution.kernel in _STEM_KERNELS and convolution.stride == (2, 2)
        fills_halves = out[0] % (LANES // 2) == 0  # channels that fill half of a vector are split afterwards
        if has_form and fills_halves and is_plain:
            return "stem"
        if out[0] > 4:  # into few channels it is no first convolution
            return "first"
    if convolution.kernel == (1, 1) and convolution.stride == (1, 1):
        return _PRODUCT if is_even and is_plain else "1x1, other"
    is_winograd = convolution.kernel == (3, 3) and convolution.stride == convolution.dilation == (1, 1)
    return ("3x3" if is_winograd else "dense") + ("" if is_even else ", odd channels")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CoreRates(_Strict):
    """What was fitted for one core.

    Attributes:
        core: its name.
        rates: cycles per unit of each amount, by kind (`LayerWork.kind`) and group.
        median_error: of how many times as fast int8 is, over networks that the fit left out in turn; those
            with layers like which no other has any have none.
        largest_error: the largest of these.
        networks: number of networks with an error.
    """

    core: str
    rates: dict[str, dict[str, Amounts]]
    median_error: float
    largest_error: float
    networks: int

    def cycles(self, work: LayerWork, kind: str) -> float | None:
        """The cycles of a layer, None if no fitted network has such a layer."""
        rates = self.rates[kind].get(work.group)
        return None if rates is None else sum(r * a for r, a in zip(rates, work.amounts, strict=True))


class ArmRates(_Strict):
    """The file `RATES`."""

    unit: str
    llvm: str
    cores: tuple[CoreRates, ...]


@functools.cache
def arm_rates() -> ArmRates:
    """The rates that ship."""
    return ArmRates.model_validate_json(RATES.read_bytes())


@dataclass(frozen=True)
class CoreGain:
    """Predicted cycles of the graphs of a detector on one core and one thread.

    Attributes:
        core: its name.
        fp16: cycles without int8, in half precision.
        int8: cycles in int8, the other layers in half precision.
        int8_fp32: cycles in int8, the other layers in fp32.
    """

    core: str
    fp16: float
    int8: float
    int8_fp32: float


def slower_layers(works: Sequence[LayerWork], rates: ArmRates | None = None) -> tuple[str, ...]:
    """The layers that are predicted to be slower in int8 than in fp16 on every core, others in fp16.

    Args:
        works: of all layers of a graph, in any precision.
        rates: by default those that ship.

    Returns:
        Their names, without layers that lose less than `LEAST_LOSS`, or that no fitted network has in int8.
    """
    losses = [_losses(works, core) for core in (rates or arm_rates()).cores]
    return tuple(work.name for work in works if all(loss[work.name] > LEAST_LOSS for loss in losses))


def _losses(works: Sequence[LayerWork], core: CoreRates) -> dict[str, float]:
    """What each layer loses in int8, of the cycles of all in fp16; 0 without rates."""
    half = {work.name: core.cycles(work, "fp16") or 0.0 for work in works}
    small = {work.name: core.cycles(work, replace(work, int8=True).kind("fp16")) for work in works}
    total = sum(half.values())
    return {name: 0.0 if int8 is None else (int8 - half[name]) / total for name, int8 in small.items()}


def predict_gain(works: Sequence[LayerWork], rates: ArmRates | None = None) -> tuple[CoreGain, ...]:
    """Predict what int8 gains.

    Args:
        works: of all layers.
        rates: by default those that ship.

    Returns:
        The cycles on each core; empty if no fitted network has layers like these.
    """
    found = []
    for core in (rates or arm_rates()).cores:
        setups = (("fp16", False), ("fp16", True), ("fp32", True))
        cycles = [[core.cycles(w, w.kind(others, int8=int8)) for w in works] for others, int8 in setups]
        known = [[c for c in setup if c is not None] for setup in cycles]
        if any(len(setup) < len(works) for setup in known):
            return ()
        found.append(CoreGain(core.core, *map(sum, known)))
    return tuple(found)
