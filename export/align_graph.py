"""Channel alignment as a step of the export: align a graph for a target and check that its outputs stay.

The channel orders are written beside the reference weights, so that `verify --layers` can compare every blob
with PyTorch.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from pocketdet.errors import BundleError, CheckFailed
from pocketdet.export.compare_graphs import OutputDifference, compare_graphs
from pocketdet.export.passes.channel_alignment import (
    LANE_COUNTS,
    WIDEN_EVERYTHING,
    Alignment,
    AlignmentTarget,
    CostRates,
    align_channels,
)
from pocketdet.export.passes.direct_convolution import force_direct_convolution
from pocketdet.runtime.bundle.golden import read_stages
from pocketdet.runtime.ncnn_graph import Graph, Shape, infer_shapes

MAX_DIFFERENCE = 1e-4
"""Of the largest value of an output: what fp32 differs by if sums are computed in another order."""
MAX_DIFFERENCE_INT8 = 2e-2
"""The same if activations are rounded to 8 bits: some fall to the other side of a step of 1/127. ncnn's
packed int8 depthwise kernel on x86 multiplies by an approximate reciprocal of its scales."""

TRIED_SLOWER = "tried: not faster with padding"

Speedup = Callable[[Graph, Graph], float]
"""How many times as fast the second graph runs as the first: a measurement's lower bound, or modelled."""


def align_graph(graph: Graph, inputs: Mapping[str, Shape], target: AlignmentTarget) -> Alignment:
    """Align a graph for a target and check the result.

    Args:
        graph: The graph; it is not changed.
        inputs: Shape of every input, (c, h, w) without batch.
        target: The machines to align for.

    Raises:
        CheckFailed: An output is no longer the same.
    """
    alignment = align_channels(graph, inputs, target.lanes, rates=target.rates)
    if not alignment.report.changed:
        return alignment
    if target.direct_convolution:
        shapes = infer_shapes(alignment.graph, inputs, partial=True)
        alignment = replace(alignment, graph=force_direct_convolution(alignment.graph, shapes))
    check_alignment(graph, alignment, inputs)
    return alignment


def check_alignment(
    graph: Graph, alignment: Alignment, inputs: Mapping[str, Shape], also: Iterable[str] = ()
) -> list[OutputDifference]:
    """Run the original and the aligned graph on several inputs and compare the outputs.

    Args:
        graph: The original graph.
        alignment: What was made of it.
        inputs: Shape of every input.
        also: Inner blobs to compare as well.

    Raises:
        CheckFailed: A difference is too large.
    """
    differences = compare_graphs(graph, alignment.graph, inputs, also=also)
    int8 = any(w.storage == "int8" for layer in graph.layers for w in layer.weights.values())
    allowed = MAX_DIFFERENCE_INT8 if int8 else MAX_DIFFERENCE
    wrong = [found for found in differences if not found.relative <= allowed]
    if wrong:
        raise CheckFailed(
            f"channel alignment changed the outputs ({len(wrong)} of {len(differences)}); first: {wrong[0]}, "
            f"allowed is {allowed:g}. Please report the model, and export it without alignment until then"
        )
    return differences


def tune_alignment(
    graph: Graph,
    inputs: Mapping[str, Shape],
    target: AlignmentTarget,
    speedup: Speedup,
    *,
    wide_outputs: bool = False,
    preserve: Iterable[str] = (),
    progress: Callable[[str], None] = lambda step: None,
) -> Alignment:
    """Return the alignment that is fastest when it is tried, or the graph itself if none is faster.

    Every lane count up to the target's is tried twice, as the cost model chooses and with everything widened;
    then each region of the fastest is tried without padding. A try is kept only if its speed-up is above 1
    for certain.

    Args:
        graph: The graph; it is not changed.
        inputs: Shape of every input, (c, h, w) without batch.
        target: The machines to align for.
        speedup: Times two graphs on this machine, or models them on another.
        wide_outputs: As in `align_channels`.
        preserve: As in `align_channels`.
        progress: Called with the name of each try.
    """
    preserved = tuple(preserve)

    def align(lanes: int, rates: CostRates, exclude: Iterable[str] = (), min_gain: float = 0.0) -> Alignment:
        return align_channels(
            graph,
            inputs,
            lanes,
            wide_outputs=wide_outputs,
            preserve=preserved,
            exclude=dict.fromkeys(exclude, TRIED_SLOWER),
            rates=rates,
            min_gain=min_gain,
        )

    def is_faster(tried: Alignment, best: Graph, name: str) -> bool:
        if tried.graph is best:
            return False
        progress(name)
        return speedup(best, tried.graph) > 1.0

    lanes, rates = target.lanes, target.rates
    best = align(lanes, rates, min_gain=float("inf"))  # nothing gains that much: the original graph
    for width in (width for width in LANE_COUNTS if width <= target.lanes):
        for tried_rates, what in ((target.rates, "by the model"), (WIDEN_EVERYTHING, "all that can be")):
            tried = align(width, tried_rates)
            if is_faster(tried, best.graph, f"{width} lanes, {what}"):
                best, lanes, rates = tried, width, tried_rates
    excluded: list[str] = []
    for region in best.regions:
        tried = align(lanes, rates, [*excluded, *region])
        if is_faster(tried, best.graph, f"without {region[0]}"):
            best, excluded = tried, [*excluded, *region]
    return best


def write_channel_orders(alignment: Alignment, path: Path) -> None:
    """Write the channel order of every changed blob as a safetensors file. Raises `OSError`."""
    orders = {blob: order.astype(np.int32) for blob, order in alignment.channel_orders.items()}
    path.write_bytes(save(orders))


def read_channel_orders(path: Path) -> Mapping[str, NDArray[np.int32]]:
    """Read what `write_channel_orders` wrote: blob -> channel order.

    Raises:
        BundleError: The file is damaged or holds anything else.
    """
    orders = read_stages(path, path.name)
    for blob, order in orders.items():
        if order.dtype != np.int32 or order.ndim != 1:
            raise BundleError(
                f"{path.name}: blob {blob!r}: expected a row of int32, found {order.dtype} {order.shape}"
            )
    return orders


def restore_channel_order(
    subject: NDArray[np.float32], reference: NDArray[np.float32], order: NDArray[np.int32] | None
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return a blob of an aligned graph and its reference, both reduced to the channels that they share.

    Padding is left out, and so are channels that no consumer needs at this blob. Arrays that do not fit
    together are returned unchanged: the caller's comparison reports them.

    Args:
        subject: The blob, (c, ...).
        reference: The values of the original graph, (c, ...) or (1, c, ...).
        order: The blob's channel order, None if it did not change.
    """
    if order is None or order.shape != subject.shape[:1]:
        return subject, reference
    real = order >= 0
    channels = reference.reshape(-1, *subject.shape[1:]) if reference.size % subject[0].size == 0 else None
    if channels is None or not real.any() or order.max() >= len(channels):
        return subject, reference
    return subject[real], channels[order[real]]
