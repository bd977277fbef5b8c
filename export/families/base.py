"""What a family of detectors is: it recognises its head in an ONNX file and describes it.

A family reads names, shapes, metadata and the graph of a file. It returns a complete description with the
reasons for it, or what differs from its form.
"""

from dataclasses import dataclass
from typing import Protocol

from pocketdet.export.onnx_graph.summary import OnnxSummary
from pocketdet.export.reference.description import Description


@dataclass(frozen=True)
class FamilyOptions:
    """What the caller says about a file.

    Attributes:
        class_names: without background; None for those of the file, or of the family's dataset.
        input_size: (height, width) in pixels; None for that of the file.
        forced: whether the caller names the family: what a file cannot show is then as in the family.
    """

    class_names: tuple[str, ...] | None = None
    input_size: tuple[int, int] | None = None
    forced: bool = False


@dataclass(frozen=True)
class Match:
    """What a family found in a file.

    Attributes:
        description: complete; its outputs are outputs or inner tensors of the file.
        reasons: a line for each setting: what was taken, and from where.
    """

    description: Description
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Mismatch:
    """Why a file is not of a family.

    Attributes:
        differences: one sentence each, without a full stop: what the family has, and what the file has.
        fits: how many of the family's properties the file has; larger is nearer.
    """

    differences: tuple[str, ...]
    fits: int = 0


class Family(Protocol):
    """A kind of detection head.

    Attributes:
        name: as in `--preset`.
        title: for people, with the versions that it covers.
    """

    @property
    def name(self) -> str:
        """The name of the preset."""
        ...

    @property
    def title(self) -> str:
        """The detectors that it covers, for people."""
        ...

    def match(self, model: OnnxSummary, options: FamilyOptions) -> Match | Mismatch:
        """Describe a file, or say what differs.

        Args:
            model: the file, with shapes for `model.input_size`.
            options: what the caller says.

        Returns:
            The description and its reasons, or the differences.

        Raises:
            UsageError: if the file is of this family and cannot be exported; the sentence says why.
        """
        ...
