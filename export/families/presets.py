"""What a family knows that its files do not say: preprocessing, thresholds, a usual input size."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from pocketdet.export.families.base import FamilyOptions, Match, Mismatch
from pocketdet.export.families.class_names import choose_class_names
from pocketdet.export.families.grids import Size
from pocketdet.export.onnx_graph.summary import OnnxSummary
from pocketdet.export.reference.description import DescribedLevel, Description
from pocketdet.models.config import Preprocessing
from pocketdet.spec.one_stage import BoxCoding, Scores, Selection

BGR_IMAGENET_MEAN, BGR_IMAGENET_STD = (103.53, 116.28, 123.675), (57.375, 57.12, 58.395)


@dataclass(frozen=True)
class Preset:
    """Settings of a family that are not in the file.

    Attributes:
        source: where they are from.
        preprocessing: of the image.
        selection: thresholds and limits.
        input_size: (height, width) for files with a free size.
        class_names: of a family that finds always the same.
    """

    source: str
    preprocessing: Preprocessing
    selection: Selection
    input_size: Size
    class_names: tuple[str, ...] | None = None

    def reasons(self) -> tuple[str, str]:
        """The lines that say what was taken from the preset."""
        image, chosen = self.preprocessing, self.selection
        resize = image.resize.replace("_", " ")
        pad = "" if image.resize == "stretch" else f", pad {image.pad}"
        best = "the best class of each anchor, " if chosen.best_class_only else ""
        clipped = "boxes clipped first" if chosen.clip else "boxes not clipped before"
        return (
            f"preprocessing {image.channel_order}, mean {image.mean}, std {image.std}, {resize}{pad}: not in "
            f"the file; from {self.source}",
            f"selection: {best}score above {chosen.score_threshold:g}, NMS at an IoU of {chosen.nms_iou:g}, "
            f"{clipped}: not in the file; from {self.source}",
        )


@dataclass(frozen=True)
class Head:
    """How the outputs of a file are read.

    Attributes:
        classes: their number, without background.
        levels: of the description.
        coding: of the boxes.
        scores: how class values become scores.
        reasons: a line for each setting that the file shows.
    """

    classes: int
    levels: Sequence[DescribedLevel]
    coding: BoxCoding
    scores: Scores
    reasons: Sequence[str]


def differs(difference: str, fits: int = 0) -> Mismatch:
    """A mismatch of one sentence; see `Mismatch`."""
    return Mismatch((difference,), fits)


def sides(size: Size) -> str:
    """A size for a sentence, height before width."""
    return f"{size[0]}x{size[1]}"


class PresetFamily(ABC):
    """A family with a preset.

    Attributes:
        name: as in `--preset`.
        title: the detectors that it covers, for people.
        preset: the settings that are not in its files.
    """

    name: str
    title: str
    preset: Preset

    def match(self, model: OnnxSummary, options: FamilyOptions) -> Match | Mismatch:
        """Describe a file, or say what differs; an input of any size gets the preset's."""
        usual = self.preset.input_size
        size = model.input_size or options.input_size or usual
        model = model if model.input_size == size else model.at(size)
        found = self.describe(model, options, size)
        given = options.input_size or model.image.fixed_size or model.metadata.get("imgsz")
        if isinstance(found, Mismatch) or given or size == usual:
            return found
        return self.describe(model.at(usual), options, usual)

    @abstractmethod
    def describe(self, model: OnnxSummary, options: FamilyOptions, size: Size) -> Match | Mismatch:
        """Describe a file, or say what differs.

        Args:
            model: the file, with shapes for `size`.
            options: what the caller says.
            size: (height, width) of the input in pixels.
        """


def complete(model: OnnxSummary, options: FamilyOptions, size: Size, head: Head, preset: Preset) -> Match:
    """The complete description of a file whose head is known.

    Args:
        model: the file.
        options: what the caller says.
        size: (height, width) of the input in pixels.
        head: how the outputs are read.
        preset: the settings that are not in the file.

    Raises:
        UsageError: if another number of class names is given than the head has classes.
    """
    names, named = choose_class_names(head.classes, options.class_names, model.metadata)
    if options.class_names is None and preset.class_names is not None:
        names, named = preset.class_names, f"one class, {preset.class_names[0]!r}; --names replaces its name"
    description = Description(
        size,
        names,
        tuple(head.levels),
        (head.coding,),
        head.scores,
        preset.selection,
        preset.preprocessing,
    )
    return Match(description, (named, *head.reasons, *preset.reasons()))
