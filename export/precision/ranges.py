"""Which layers of an ncnn graph could overflow in half precision, judged on a machine that has none.

A half holds at most 65504, and what is beyond becomes infinite. Where ncnn computes in half precision, two
things must stay below: every blob, and every partial sum of a layer on the way to its output, in whatever
order a kernel adds. The first is measured in fp32. The second is bounded by the sum of the absolute values of
all its terms, with each input channel at the largest value that it was seen to have.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pocketdet.errors import ExportError
from pocketdet.export.precision.partial_sums import bound_of_sums
from pocketdet.runtime.engines.base import Array, GraphName
from pocketdet.runtime.engines.ncnn_engine import NcnnEngine
from pocketdet.runtime.ncnn_graph import Graph, Layer
from pocketdet.runtime.ncnn_graph.feature_mask import IN_FP32, feature_mask

LARGEST_HALF = 65504.0

# How many times larger than in the pictures at hand a value or a bound of sums may be in the field. Over
# 300 photographs no value of the trained SNet49 was more than 2.5 times, no bound more than 5 times what it
# was on the export's own three pictures (docs/explanation/precision.md).
MARGIN = 8.0

Peaks = Mapping[str, NDArray[np.float64]]  # by blob, the largest absolute value of each channel


@dataclass(frozen=True)
class Risk:
    """A layer that may overflow in half precision, and why.

    `value` is the largest absolute value that was seen or may be summed up, without the margin; infinite
    where nothing is known about the sums of a type.
    """

    layer: str
    type: str
    value: float
    reason: str

    def __str__(self) -> str:
        return f"{self.type} {self.layer!r}: {self.reason}"


def measure_peaks(
    engine: NcnnEngine, graph_name: GraphName, graph: Graph, role: str, inputs: Iterable[Array]
) -> Peaks:
    """Run every input through `engine`, in fp32, and keep what was largest.

    Raises `ExportError` naming the first layer that gives NaN or infinity already in fp32, or no inputs.
    """
    wanted = list(graph.blob_names())
    peaks: dict[str, NDArray[np.float64]] = {}
    for array in inputs:
        for blob, values in engine.run_blobs(graph_name, {role: array}, wanted).items():
            peak = channel_peaks(values)
            peaks[blob] = np.maximum(peaks[blob], peak) if blob in peaks else peak
    if not peaks:
        raise ExportError(f"graph {graph_name!r}: no input to measure its range on")
    for layer in graph.layers:
        if any(not np.isfinite(peaks[blob]).all() for blob in layer.outputs):
            raise ExportError(
                f"graph {graph_name!r}: {layer.type} {layer.name!r} gives NaN or infinite values in fp32"
            )
    return peaks


def channel_peaks(values: Array) -> NDArray[np.float64]:
    """Largest absolute value per channel: the first axis of (c, h, w), the last of (rows, c) and (c,)."""
    axes = tuple(range(1, values.ndim)) if values.ndim > 2 else tuple(range(values.ndim - 1))
    return np.asarray(np.abs(values).max(axis=axes, initial=0.0), np.float64)


def find_risks(graph: Graph, peaks: Peaks, margin: float = MARGIN) -> list[Risk]:
    """Layers that could overflow if values were `margin` times as large, in order; masked ones never do.

    A layer that reads or makes a blob beyond the range has to stay in fp32, be it only to pass it on: a layer
    in half precision makes halves of its inputs.
    """
    limit = LARGEST_HALF / margin
    found = []
    for layer in graph.layers:
        if layer.type != "Input" and feature_mask(layer) & IN_FP32 != IN_FP32:
            risk = _risk(layer, peaks, limit)
            found += [risk] if risk else []
    return found


def _risk(layer: Layer, peaks: Peaks, limit: float) -> Risk | None:
    for verb, blobs in (("reads", layer.inputs), ("gives", layer.outputs)):
        for blob in blobs:
            peak = float(peaks[blob].max(initial=0.0))
            if peak > limit:
                return Risk(layer.name, layer.type, peak, f"{verb} values up to {peak:.3g} ({blob})")
    floats = [weight.values() for weight in layer.weights.values() if weight.storage != "int8"]
    stored = [float(np.abs(values).max(initial=0.0)) for values in floats]
    if max(stored, default=0.0) > LARGEST_HALF:
        return Risk(layer.name, layer.type, max(stored), f"has a weight of {max(stored):.3g}")
    bound = bound_of_sums(layer, [peaks[blob] for blob in layer.inputs])
    if bound is None:
        reason = "what its type adds up in half precision is not known"
        return Risk(layer.name, layer.type, float("inf"), reason)
    if bound > limit:
        return Risk(layer.name, layer.type, bound, f"its sums may reach {bound:.3g}")
    return None
