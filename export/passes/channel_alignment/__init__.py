"""Channel alignment: make the channel counts of an ncnn graph multiples of the SIMD lanes.

ncnn packs 4, 8 or 16 channels into one element and uses slow kernels for other channel counts. This pass adds
zero channels to tensors, places the real ones so that the graph's own Slice, Concat and ShuffleChannel layers
still route each one to its consumers, and permutes and pads the weights once. The outputs stay the same. A
tensor that cannot be proved to stay correct, or would not become faster, is not changed; the report says why.

    alignment = align_channels(graph, {"in0": (3, 320, 320)}, lanes=8)
    print(alignment.report)

Steps, one per module:

    roles       what each layer does to channels
    trace       the channels that each blob holds, and the consumers of each channel
    search      try widths for the channel groups and keep the cheapest by `cost`; for each try
    widen         the channels of the aligned graph
    placement     a lane for each channel
    padding       a proof that padding stays finite
    rewrite     the layers of the aligned graph
    align       all of it, and the report
"""

from pocketdet.export.passes.channel_alignment.align import Alignment, AlignmentReport, align_channels
from pocketdet.export.passes.channel_alignment.cost import (
    ALIGNMENT_TARGETS,
    DEFAULT_TARGET,
    LANE_COUNTS,
    WIDEN_EVERYTHING,
    AlignmentTarget,
    CostRates,
    alignment_target,
)

__all__ = [
    "ALIGNMENT_TARGETS",
    "DEFAULT_TARGET",
    "LANE_COUNTS",
    "WIDEN_EVERYTHING",
    "Alignment",
    "AlignmentReport",
    "AlignmentTarget",
    "CostRates",
    "align_channels",
    "alignment_target",
]
