"""Lines that say what was recognised in a file, and where it is from."""

from collections.abc import Sequence

from pocketdet.export.families.rows import JoinedHead
from pocketdet.export.onnx_graph.summary import OnnxSummary
from pocketdet.spec.one_stage import OutputField


def rows_line(model: OnnxSummary, head: JoinedHead, content: str) -> str:
    """A line about the shape of a joined head."""
    strides = ", ".join(str(level.stride) for level in head.levels)
    each = "each cell" if head.anchors == 1 else f"each of {head.anchors} anchors of a cell"
    return f"{head.name!r} is {model.shape_of(head.name)}: {content} for {each}, strides {strides}"


def scores_line(fields: Sequence[OutputField]) -> str:
    """A line about the tensors of the scores."""
    return f"scores: {', '.join(dict.fromkeys(repr(field.output) for field in fields))}"


def dropped_lines(model: OnnxSummary, head: JoinedHead, selecting: Sequence[str], used: int) -> list[str]:
    """Lines about operators, channels and outputs behind or beside the boxes and scores.

    Args:
        model: the file.
        head: what is read.
        selecting: operators behind the head that select detections.
        used: channels of the head that are read.
    """
    lines = []
    if selecting:
        lines.append(f"cut before {' and '.join(selecting)}, which select detections in the file")
    if head.channels > used:
        lines.append(f"not used: channels {used} to {head.channels - 1}, such as masks or keypoints")
    others = [repr(output.name) for output in model.outputs if output.name != head.name]
    if others and not selecting:
        lines.append(f"not used: {'output' if len(others) == 1 else 'outputs'} {', '.join(others)}")
    return lines
