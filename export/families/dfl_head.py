"""Heads of generalised focal loss with a class tensor and a box tensor for each grid.

A class tensor has sigmoid scores; a box tensor has the logits of 8 bins for each side. NanoDet and PicoDet
share this form.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pocketdet.export.families.base import Mismatch
from pocketdet.export.families.grids import HeadTensor, Size, by_stride, head_tensors, text_of
from pocketdet.export.families.head_parts import part_kinds
from pocketdet.export.families.presets import Head, differs, sides
from pocketdet.export.onnx_graph.summary import OnnxSummary
from pocketdet.export.reference.description import DescribedField, DescribedLevel
from pocketdet.spec.one_stage import DistanceCoding, Scores

BINS = 8  # reg_max 7 in the configurations of both
BOX_CHANNELS = 4 * BINS
CODING = DistanceCoding(bins=BINS)
SCORES = Scores(activation="none")
POINTS = (
    "points at (stride - 1) / 2 pixels in their cells, as in the demos of files with two tensors for each "
    "stride: not in the file; offset replaces it"
)


@dataclass(frozen=True)
class DflLevel:
    """The tensors of one grid."""

    stride: int
    classes: HeadTensor
    boxes: HeadTensor

    def described(self) -> DescribedLevel:
        """The level of a description, with the points of `POINTS`."""
        return DescribedLevel(
            self.stride,
            classes=field_of(self.classes),
            boxes=field_of(self.boxes),
            offset=0.5 * (self.stride - 1) / self.stride,
        )

    def reason(self) -> str:
        """What was taken for this level, and why."""
        return (
            f"stride {self.stride}: classes {self.classes} end in a sigmoid, boxes {self.boxes} are "
            f"4 x {BINS} bins"
        )


def field_of(tensor: HeadTensor, first: int = 0) -> DescribedField:
    """The field of a description that reads a tensor from channel `first` on."""
    return DescribedField(first, tensor.name, tensor.layout)


def dfl_levels(
    model: OnnxSummary, size: Size, title: str, choices: Sequence[tuple[int, ...]]
) -> list[DflLevel] | Mismatch:
    """The levels of a head with two tensors for each grid, finest first.

    Args:
        model: the file, with shapes for `size`.
        size: (height, width) of the input in pixels.
        title: of the family, for the differences.
        choices: the sets of strides that it comes with.
    """
    tensors = head_tensors(model)
    kinds = part_kinds(model, tensors)
    boxes = [t for t in tensors if t.channels == BOX_CHANNELS and kinds[t.name] == ("raw",)]
    classes = [t for t in tensors if kinds[t.name] == ("sigmoid",)]
    if not boxes or not classes:
        return differs(
            f"{title} has class tensors that end in a sigmoid and box tensors of {BOX_CHANNELS} channels "
            f"(4 x {BINS} bins): the outputs are {text_of(tensors)}",
            int(bool(boxes)) + int(bool(classes)),
        )
    return _paired(title, size, choices, classes, boxes, len(model.outputs))


def dfl_head(levels: Sequence[DflLevel]) -> Head:
    """Describe a head with two tensors for each grid, as `dfl_levels` finds them."""
    described = [level.described() for level in levels]
    reasons = [*(level.reason() for level in levels), POINTS]
    return Head(levels[0].classes.channels, described, CODING, SCORES, reasons)


def _paired(
    title: str,
    size: Size,
    choices: Sequence[tuple[int, ...]],
    classes: Sequence[HeadTensor],
    boxes: Sequence[HeadTensor],
    outputs: int,
) -> list[DflLevel] | Mismatch:
    """Class and box tensors by stride."""
    every = sorted({stride for choice in choices for stride in choice})
    class_by, box_by = by_stride(classes, size, every), by_stride(boxes, size, every)
    wanted = " or ".join(str(choice) for choice in choices)
    if class_by is None or box_by is None or tuple(class_by) not in choices or list(class_by) != list(box_by):
        found = text_of((*classes, *boxes))
        return differs(
            f"{title} has a class tensor and a box tensor for each of the strides {wanted} of an input of "
            f"{sides(size)}: found {found}",
            3,
        )
    counts = {tensor.channels for tensor in class_by.values()}
    if len(counts) != 1:
        return differs(f"the class tensors have {sorted(counts)} channels: expected one number", 4)
    if outputs != 2 * len(class_by):
        return differs(
            f"{title} has {2 * len(class_by)} outputs, two for each stride: the file has {outputs}", 4
        )
    return [DflLevel(stride, class_by[stride], box_by[stride]) for stride in class_by]
