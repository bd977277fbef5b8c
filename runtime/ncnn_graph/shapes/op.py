"""What a shape rule is, and the checks that rules share.

A shape is ncnn's Mat without a batch: (w,), (h, w), (c, h, w) or (c, d, h, w). A rule refuses whatever ncnn
would read out of bounds, leave uninitialised or fail on, so that a graph with shapes is a graph that runs.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import prod

from pocketdet.runtime.ncnn_graph.model import Layer

Shape = tuple[int, ...]
Rule = Callable[[Layer, Sequence[Shape]], Sequence[Shape]]

MAX_ELEMENTS = 2**28


@dataclass(frozen=True)
class Op:
    """A layer type that is understood: its rule, how many blobs it takes and gives, and its parameter ids."""

    rule: Rule
    params: frozenset[int] = frozenset()
    inputs: tuple[int, int] = (1, 1)
    outputs: tuple[int, int] = (1, 1)

    def shapes(self, layer: Layer, inputs: Sequence[Shape]) -> list[Shape]:
        """Output shapes of a layer. Raises GraphError for a wrong number of blobs or anything the rule
        refuses.
        """
        _expect_count(layer, "input", len(layer.inputs), self.inputs)
        _expect_count(layer, "output", len(layer.outputs), self.outputs)
        outputs = [checked(layer, shape) for shape in self.rule(layer, inputs)]
        if len(outputs) != len(layer.outputs):
            raise layer.error(f"gives {len(outputs)} blobs and declares {len(layer.outputs)}")
        return outputs


def op(
    rule: Rule,
    params: Iterable[int] = (),
    inputs: tuple[int, int] = (1, 1),
    outputs: tuple[int, int] = (1, 1),
) -> Op:
    """An Op with its parameter ids given as any iterable."""
    return Op(rule, frozenset(params), inputs, outputs)


def checked(layer: Layer, shape: Shape) -> Shape:
    """The shape, or GraphError when it is empty or too large for ncnn's 32-bit arithmetic."""
    if not 1 <= len(shape) <= 4 or min(shape) < 1 or prod(shape) > MAX_ELEMENTS:
        raise layer.error(f"would make a blob of shape {shape}, which is empty or too large")
    return shape


def expect_dims(layer: Layer, shape: Shape, *dims: int) -> None:
    """Raise GraphError unless the shape has one of these numbers of dimensions."""
    if len(shape) not in dims:
        raise layer.error(f"takes an input of {' or '.join(map(str, dims))} dimensions, found {shape}")


def expect_range(layer: Layer, what: str, value: int, low: int, high: int) -> int:
    """The value, or GraphError when it is outside low..high."""
    if not low <= value <= high:
        raise layer.error(f"{what} must be {low}..{high}, found {value}")
    return value


def axis_of(layer: Layer, axis: int, dims: int) -> int:
    """A possibly negative axis as an index into the shape. Raises GraphError when it is outside."""
    return expect_range(layer, f"an axis of {dims} dimensions", axis, -dims, dims - 1) % dims


def unchanged(_layer: Layer, inputs: Sequence[Shape]) -> list[Shape]:
    """Rule of every element-wise layer."""
    return list(inputs)


def _expect_count(layer: Layer, what: str, found: int, limits: tuple[int, int]) -> None:
    low, high = limits
    if not low <= found <= high:
        wanted = str(low) if low == high else f"{low}..{high}"
        raise layer.error(f"takes {wanted} {what} blobs, found {found}")
