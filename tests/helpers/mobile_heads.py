"""Small ONNX graphs with the heads of published mobile and face detectors, at any size, with any names."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx_builder import OnnxBuilder

Array = NDArray[np.float32]
WIDTH = 6
Size = tuple[int, int]


class HeadNet:
    """A chain of convolutions of stride 2 and the outputs of a head, whose names say nothing.

    Args:
        size: (height, width) of the input.
        seed: of the weights and names.
        channels_last: whether the input is (1, h, w, 3).
    """

    def __init__(self, size: Size, seed: int, *, channels_last: bool = False) -> None:
        self.size = size
        self.graph = OnnxBuilder(seed)
        self._random = np.random.default_rng(seed)
        self._outputs: dict[str, None] = {}
        self._shape = (1, *size, 3) if channels_last else (1, 3, *size)
        x = self.graph.add("Transpose", "pixels", perm=[0, 3, 1, 2]) if channels_last else "pixels"
        self._chain = [self.graph.add("Relu", self.graph.conv(x, 3, WIDTH, 3, 2))]

    def feature(self, stride: int) -> str:
        """The map (1, WIDTH, h, w) of a stride of at least 2, a power of two."""
        while 2 << (len(self._chain) - 1) < stride:
            self._chain.append(self.graph.add("Relu", self.graph.conv(self._chain[-1], WIDTH, WIDTH, 3, 2)))
        return self._chain[stride.bit_length() - 2]

    def values(self, stride: int, channels: int, activation: str = "") -> str:
        """A map (1, channels, h, w) of a convolution, with an activation over the channels."""
        value = self.graph.conv(self.feature(stride), WIDTH, channels)
        if activation == "Softmax":
            return self.graph.add("Softmax", value, axis=1)
        return self.graph.add(activation, value) if activation else value

    def rows(self, value: str, channels: int) -> str:
        """A map (1, anchors * channels, h, w) as rows (1, h * w * anchors, channels)."""
        moved = self.graph.add("Transpose", value, perm=[0, 2, 3, 1])
        return self.graph.add("Reshape", moved, self.graph.ints(1, -1, channels))

    def scaled(self, value: str, factor: float) -> str:
        """A value times a constant."""
        return self.graph.add("Mul", value, self.graph.constant(np.array(factor, np.float32)))

    def output(self, value: str, name: str | None = None) -> str:
        """Make a value an output; without a name it gets one that says nothing."""
        name = name or f"t{self._random.integers(10**9)}"
        self.graph.add("Identity", value, to=name)
        self._outputs[name] = None
        return name

    def write(self, folder: Path, *, shuffled: bool = False, free: bool = False) -> Path:
        """Write the file; `shuffled` mixes the order of its outputs, `free` leaves height and width open."""
        names = list(self._outputs)
        if shuffled:
            self._random.shuffle(names)
        shape: list[int | str] = list(self._shape)
        if free:
            shape[2:] = ["height", "width"]
        model = self.graph.model({"pixels": shape}, dict.fromkeys(names), opset=13)
        for output in model.graph.output:
            output.type.tensor_type.elem_type = onnx.TensorProto.FLOAT
        onnx.save(model, folder / "head.onnx")
        return folder / "head.onnx"


def computed(path: Path, names: Sequence[str], shape: Sequence[int], seed: int = 0) -> dict[str, Array]:
    """Tensors of a file for an image of noise, without the batch axis where there is one."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    model = onnx.load(path)
    inner = set(names) - {output.name for output in model.graph.output}
    model.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in sorted(inner))
    for axis, length in zip(model.graph.input[0].type.tensor_type.shape.dim, shape, strict=True):
        axis.dim_value = length
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    image = np.random.default_rng(seed).random(tuple(shape), np.float32)
    found = session.run(list(names), {session.get_inputs()[0].name: image})
    return {n: v[0] if v.ndim > 2 else v for n, v in zip(names, found, strict=True)}


def grid_of(size: Size, stride: int) -> Size:
    """Cells (height, width), sides rounded up."""
    return -(-size[0] // stride), -(-size[1] // stride)


def cell_points(grid: Size, stride: float | tuple[float, float], offset: float, repeat: int = 1) -> Array:
    """Points (cells * repeat, 2) in pixels, row by row; strides along x and y."""
    x_stride, y_stride = stride if isinstance(stride, tuple) else (stride, stride)
    y, x = np.mgrid[: grid[0], : grid[1]]
    points = np.stack([(x.ravel() + offset) * x_stride, (y.ravel() + offset) * y_stride], axis=1)
    return np.repeat(points, repeat, axis=0).astype(np.float32)


def from_distances(points: Array, distances: Array) -> Array:
    """Corners (n, 4) of distances to the left, top, right and bottom."""
    return np.concatenate([points - distances[:, :2], points + distances[:, 2:]], axis=1)


def from_centres(centres: Array, sizes: Array) -> Array:
    """Corners (n, 4) of centres and sizes (width, height)."""
    return np.concatenate([centres - sizes / 2, centres + sizes / 2], axis=1)


def expectation(bins: Array) -> Array:
    """(n, 4 * b) logits of distributions -> (n, 4) expected values."""
    logits = bins.reshape(len(bins), 4, -1)
    weights = np.exp(logits - logits.max(axis=2, keepdims=True))
    return ((weights * np.arange(logits.shape[2])).sum(axis=2) / weights.sum(axis=2)).astype(np.float32)


def as_rows(value: Array, channels: int) -> Array:
    """A map (anchors * channels, h, w) as rows, cells outermost; rows as they are."""
    return value.transpose(1, 2, 0).reshape(-1, channels) if value.ndim == 3 else value
