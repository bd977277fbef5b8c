"""Joined heads of one anchor per cell with a channel between boxes and classes: YOLOX, YOLOv6."""

from pocketdet.export.families.base import Mismatch
from pocketdet.export.families.rows import JoinedHead, find_joined_head
from pocketdet.export.onnx_graph.summary import OnnxSummary


def head_with_objectness(model: OnnxSummary) -> tuple[JoinedHead, tuple[str, ...]] | Mismatch:
    """Find a head of 4 + 1 + C channels.

    Returns:
        The head and the operators behind it that select detections, or what differs.
    """
    joined = find_joined_head(model)
    if joined is None:
        return Mismatch(("expected an output (1, cells, 5 + C)",))
    head, _ = joined
    if head.anchors != 1:
        return Mismatch(
            (f"{head.name!r}: expected one row for each cell, found {head.anchors} as of anchors",), 1
        )
    starts = [first for first, _ in head.groups]
    if 4 not in starts or 5 not in starts:
        return Mismatch((f"{head.name!r}: expected channel 4 to be apart, as an objectness is",), 2)
    return joined
