"""Bias correction: rounding weights and activations shifts the mean of each output channel; the bias undoes
it.

A layer's output before its activation is linear in its input, so its mean over items and pixels needs only
the mean input under each weight (a "tap"): E[y] = W . E[x] + b. The bias that makes the means of int8 and
fp32 equal is

    b' = b + W . E[x] - W_int8 . E[x_int8]

(M. Nagel et al. 2019, section 4.2, with measured means). Both means are of the fp32 graph's inputs, so each
layer corrects the shift that it makes itself. Taking the int8 graph's inputs, all layers at once, made SNet49
several times worse: every layer then corrects what those before it correct too.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pocketdet.export.quantize.layers import bias_of, float_weights, rounded_weights
from pocketdet.export.quantize.settings import Array
from pocketdet.runtime.ncnn_graph import Layer, Shape

Taps = NDArray[np.float64]


@dataclass
class TapMean:
    """Running mean of the inputs that each weight of a layer meets."""

    total: Taps | float = 0.0
    positions: int = 0

    def add(self, layer: Layer, values: Array, output: Shape) -> None:
        """Take in one input of the layer, which made an output of this shape."""
        total, positions = tap_sums(layer, values, output)
        self.total = self.total + total
        self.positions += positions

    @property
    def mean(self) -> Taps:
        """(channels, kernel_h, kernel_w) of a convolution, (inputs,) of a matrix."""
        return np.asarray(self.total) / max(self.positions, 1)


def tap_sums(layer: Layer, values: Array, output: Shape) -> tuple[Taps, int]:
    """Sum over all output positions of what each weight meets, and the number of positions."""
    if layer.type in ("Gemm", "InnerProduct"):
        rows = values if values.ndim == 2 and len(output) == 2 else values.reshape(1, -1)
        return rows.sum(axis=0, dtype=np.float64), len(rows)
    _, height, width = output
    kernel_w, dilation_w, stride_w = (layer.int_param(*p) for p in ((1, 0), (2, 1), (3, 1)))
    kernel_h = layer.int_param(11, kernel_w)
    dilation_h, stride_h = layer.int_param(12, dilation_w), layer.int_param(13, stride_w)
    extent = (dilation_h * (kernel_h - 1) + 1, dilation_w * (kernel_w - 1) + 1)
    padded = _padded(layer, values, extent, (stride_h, stride_w))
    sums = np.empty((len(values), kernel_h, kernel_w))
    for i in range(kernel_h):
        rows = padded[:, i * dilation_h : i * dilation_h + (height - 1) * stride_h + 1 : stride_h]
        for j in range(kernel_w):
            left = j * dilation_w
            window = rows[:, :, left : left + (width - 1) * stride_w + 1 : stride_w]
            sums[:, i, j] = window.sum(axis=(1, 2), dtype=np.float64)
    return sums, height * width


def _padded(layer: Layer, values: Array, extent: tuple[int, int], stride: tuple[int, int]) -> Array:
    """With zeros around, as `Convolution::make_padding` does; -233 and -234 are SAME_UPPER and SAME_LOWER."""
    left = layer.int_param(4, 0)
    right, top = layer.int_param(15, left), layer.int_param(14, left)
    bottom = layer.int_param(16, top)
    if left in (-233, -234):
        missing = [
            max(e + (size - 1) // s * s - size, 0)
            for e, s, size in zip(extent, stride, values.shape[1:], strict=True)
        ]
        halves = [(m // 2, m - m // 2) if left == -233 else (m - m // 2, m // 2) for m in missing]
        return np.pad(values, ((0, 0), *halves))
    return (
        np.pad(values, ((0, 0), (top, bottom), (left, right))) if left or right or top or bottom else values
    )


def rounded_input(layer: Layer, values: Array, scale: float | None) -> Array:
    """What the int8 layer computes with; a Gemm finds the scale of each run."""
    if scale is None:
        scale = 127 / max(float(np.abs(values).max()), 1e-30)
    factor = np.float32(scale)
    return np.asarray(np.clip(np.rint(values * factor), -127, 127) / factor, np.float32)


def mean_output(layer: Layer, weights: Array, taps: Taps) -> Taps:
    """W . E[x] for each output channel."""
    if layer.type in ("Gemm", "InnerProduct"):
        return np.asarray(weights @ taps)
    groups = layer.int_param(7, 1) if layer.type == "ConvolutionDepthWise" else 1
    grouped = weights.reshape(groups, len(weights) // groups, -1).astype(np.float64)
    return np.asarray(np.einsum("goi,gi->go", grouped, taps.reshape(groups, -1)).reshape(-1))


def corrected_bias(layer: Layer, scales: Array, exact: Taps, rounded: Taps) -> Array:
    """The bias b' for an fp32 layer, by the formula above."""
    wanted = mean_output(layer, float_weights(layer), exact)
    given = mean_output(layer, rounded_weights(layer, scales), rounded)
    return np.asarray(bias_of(layer) + wanted - given, np.float32)
