"""An ncnn graph laid out for the SIMD lanes of a target, proved against the graph as it was.

Where channels went is written beside the reference weights, so that `verify --layers` can still compare
every blob with PyTorch.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from pocketdet.errors import BundleError, CheckFailed
from pocketdet.export.passes.align_lanes import Aligned, Difference, align_lanes, prove_same
from pocketdet.export.passes.direct_stem import direct_stem
from pocketdet.export.passes.lane_targets import LaneTarget
from pocketdet.runtime.bundle.golden import read_stages
from pocketdet.runtime.ncnn_graph import Graph, Shape, infer_shapes

# Of the largest value of an output: what fp32 may differ by in another order; and where activations are
# rounded to 8 bits, what steps of 1/127 that fell the other way may come to (ncnn's packed int8 depthwise
# kernel takes a rough reciprocal of its scales on x86, the unpacked one an exact one).
LARGEST_DIFFERENCE = 1e-4
LARGEST_DIFFERENCE_INT8 = 2e-2

Layouts = Mapping[str, NDArray[np.int32]]


def lay_out(graph: Graph, inputs: Mapping[str, Shape], target: LaneTarget) -> Aligned:
    """Align `graph` for `target` and prove it. Raises `CheckFailed` if an output is no longer the same."""
    aligned = align_lanes(graph, inputs, target.lanes, rates=target.rates)
    if not aligned.report.changed:
        return aligned
    if target.direct_stem:
        shapes = infer_shapes(aligned.graph, inputs, partial=True)
        aligned = replace(aligned, graph=direct_stem(aligned.graph, shapes))
    prove(graph, aligned, inputs)
    return aligned


def prove(
    graph: Graph, aligned: Aligned, inputs: Mapping[str, Shape], also: Iterable[str] = ()
) -> list[Difference]:
    """The difference of every output and of blobs in `also`, over several inputs.

    Raises `CheckFailed` where it is too large.
    """
    differences = prove_same(graph, aligned.graph, inputs, also=also)
    int8 = any(w.storage == "int8" for layer in graph.layers for w in layer.weights.values())
    allowed = LARGEST_DIFFERENCE_INT8 if int8 else LARGEST_DIFFERENCE
    wrong = [found for found in differences if not found.relative <= allowed]
    if wrong:
        raise CheckFailed(
            f"lane alignment changed the answers ({len(wrong)} of {len(differences)} outputs); first: "
            f"{wrong[0]}, allowed is {allowed:g}. Please report the model; leave alignment out "
            "until then"
        )
    return differences


def write_layouts(aligned: Aligned, path: Path) -> None:
    """Write the layout of every blob whose channels lie elsewhere now. Raises `OSError`."""
    path.write_bytes(save({blob: layout.astype(np.int32) for blob, layout in aligned.layouts.items()}))


def read_layouts(path: Path) -> Layouts:
    """What `write_layouts` wrote. Raises `BundleError` for anything else."""
    layouts = read_stages(path, path.name)
    for blob, layout in layouts.items():
        if layout.dtype != np.int32 or layout.ndim != 1:
            raise BundleError(
                f"{path.name}: blob {blob!r}: expected a row of int32, found {layout.dtype} {layout.shape}"
            )
    return layouts


def as_before(
    subject: NDArray[np.float32], reference: NDArray[np.float32], layout: NDArray[np.int32] | None
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """A blob of an aligned graph and its reference, (c, ...) of the narrow graph, cut to what they share.

    Padding and channels that are not delivered any more, because nobody reads them, are left out. Arrays that
    do not fit together come back as they are, for the caller's comparison to say so.
    """
    if layout is None or layout.shape != subject.shape[:1]:
        return subject, reference
    real = layout >= 0
    channels = reference.reshape(-1, *subject.shape[1:]) if reference.size % subject[0].size == 0 else None
    if channels is None or not real.any() or layout.max() >= len(channels):
        return subject, reference
    return subject[real], channels[layout[real]]
