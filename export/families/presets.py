"""What files do not say: preprocessing, thresholds, a usual input size and, often, the class names."""

import ast
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pocketdet.errors import UsageError
from pocketdet.export.families.base import FamilyOptions, Match, Mismatch
from pocketdet.export.families.grids import Size
from pocketdet.export.onnx_graph.summary import OnnxSummary
from pocketdet.export.reference.description import DescribedLevel, Description
from pocketdet.models.config import Preprocessing
from pocketdet.spec.one_stage import BoxCoding, Scores, Selection

# the 80 classes of COCO's detection task in the order that detectors number them
# fmt: off
COCO_CLASSES = (
    "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "traffic light",
    "fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog", "horse", "sheep", "cow",
    "elephant", "bear", "zebra", "giraffe", "backpack", "umbrella", "handbag", "tie", "suitcase",
    "frisbee", "skis", "snowboard", "sports ball", "kite", "baseball bat", "baseball glove", "skateboard",
    "surfboard", "tennis racket", "bottle", "wine glass", "cup", "fork", "knife", "spoon", "bowl",
    "banana", "apple", "sandwich", "orange", "broccoli", "carrot", "hot dog", "pizza", "donut", "cake",
    "chair", "couch", "potted plant", "bed", "dining table", "toilet", "tv", "laptop", "mouse", "remote",
    "keyboard", "cell phone", "microwave", "oven", "toaster", "sink", "refrigerator", "book", "clock",
    "vase", "scissors", "teddy bear", "hair drier", "toothbrush",
)
# fmt: on
MAX_METADATA = 1 << 20


def choose_class_names(
    count: int, given: tuple[str, ...] | None, metadata: Mapping[str, str]
) -> tuple[tuple[str, ...], str]:
    """Choose the names of a detector's classes.

    Args:
        count: the number of classes of its head, without background.
        given: names that the caller gives; they replace all others.
        metadata: of the file; "names" is a dictionary {0: "person", ...} or a list, as Python or JSON text.

    Returns:
        `count` names, and a line that says where they are from.

    Raises:
        UsageError: if another number of names is given than the head has classes.
    """
    if given is not None:
        if len(given) != count:
            raise UsageError(f"{len(given)} class names are given: the head of the file has {count} classes")
        return given, f"{count} classes, named as given"
    stored = metadata_names(metadata)
    if stored and len(stored) == count:
        return stored, f"{count} classes, named in the file's metadata"
    if count == len(COCO_CLASSES):
        return COCO_CLASSES, "80 classes, named as in COCO since the file has no names; --names replaces them"
    names = tuple(f"class {number}" for number in range(count))
    return names, f"{count} classes, numbered since the file has no names; --names FILE names them"


def metadata_names(metadata: Mapping[str, str]) -> tuple[str, ...] | None:
    """The class names in a file's metadata; None if it has none that can be read.

    A name that occurs twice, or is empty, gets its number as a suffix.
    """
    text = metadata.get("names", "")
    if not 0 < len(text) <= MAX_METADATA:
        return None
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    if isinstance(value, dict):
        if set(value) != set(range(len(value))):
            return None
        value = [value[number] for number in range(len(value))]
    if not isinstance(value, list | tuple) or not value:
        return None
    names = [str(name).strip()[:180] for name in value]
    return tuple(
        f"{name} {number}".strip() if not name or name in names[:number] else name
        for number, name in enumerate(names)
    )


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
        """Describe a file, or say what differs; an input of any size gets the preset's.

        Raises:
            UsageError: if another number of class names is given than the head has classes.
        """
        usual = self.preset.input_size
        size = model.input_size or options.input_size or usual
        model = model if model.input_size == size else model.at(size)
        found = self.describe(model, options, size)
        given = options.input_size or model.image.fixed_size or model.metadata.get("imgsz")
        if not (isinstance(found, Mismatch) or given or size == usual):
            model, size = model.at(usual), usual
            found = self.describe(model, options, size)
        return found if isinstance(found, Mismatch) else self._complete(model, options, size, found)

    @abstractmethod
    def describe(self, model: OnnxSummary, options: FamilyOptions, size: Size) -> Head | Mismatch:
        """Describe how the outputs of a file are read, or say what differs.

        Args:
            model: the file, with shapes for `size`.
            options: what the caller says.
            size: (height, width) of the input in pixels.
        """

    def _complete(self, model: OnnxSummary, options: FamilyOptions, size: Size, head: Head) -> Match:
        """Complete a description by the preset. Raises `UsageError` for another number of class names."""
        preset = self.preset
        names, named = choose_class_names(head.classes, options.class_names, model.metadata)
        if options.class_names is None and preset.class_names is not None:
            names = preset.class_names
            named = f"one class, {names[0]!r}; --names replaces its name"
        levels, codings = tuple(head.levels), (head.coding,)
        description = Description(
            size, names, levels, codings, head.scores, preset.selection, preset.preprocessing
        )
        return Match(description, (named, *head.reasons, *preset.reasons()))


@dataclass(frozen=True)
class YoloSettings:
    """The settings of a YOLO family that are not in its files.

    These families suppress boxes first and clip them to the image last: the clipped parts count in the IoU.

    Attributes:
        selection: thresholds and suppression.
        preprocessing: of the image.
    """

    selection: Selection
    preprocessing: Preprocessing

    def describe(
        self,
        model: OnnxSummary,
        names: tuple[str, ...],
        levels: Sequence[DescribedLevel],
        coding: BoxCoding,
        scores: Scores,
    ) -> Description:
        """The description of a file whose outputs are known."""
        size = model.input_size or (0, 0)
        return Description(size, names, tuple(levels), (coding,), scores, self.selection, self.preprocessing)

    def lines(self, preset: str) -> tuple[str, str]:
        """Lines about suppression and preprocessing, for the reasons of a match."""
        chosen, image = self.selection, self.preprocessing
        suppression = (
            f"suppression: none, the file keeps the best {chosen.top_n} scores"
            if chosen.nms == "none"
            else f"suppression of the preset {preset}: scores above {chosen.score_threshold:g}, IoU "
            f"{chosen.nms_iou:g} for each class"
        )
        mean, std = (", ".join(f"{n:g}" for n in values) for values in (image.mean, image.std))
        padded = f" with {image.pad}" if image.resize != "stretch" else ""
        return suppression, (
            f"preprocessing of the preset {preset}, no file contains it: {image.channel_order}, mean "
            f"{mean}, std {std}, {image.resize}{padded}"
        )


_GREY = (114, 114, 114)
_RGB_LETTERBOX = Preprocessing("RGB", (0, 0, 0), (255, 255, 255), "letterbox", _GREY)


def _suppressed(score_threshold: float, nms_iou: float) -> Selection:
    return Selection(
        score_threshold=score_threshold, best_class_only=True, clip=False, nms_iou=nms_iou, max_detections=300
    )


ULTRALYTICS = YoloSettings(_suppressed(0.25, 0.7), _RGB_LETTERBOX)
END_TO_END = YoloSettings(
    Selection(score_threshold=0.25, top_n=300, clip=False, nms="none", max_detections=300), _RGB_LETTERBOX
)
YOLOV5 = YoloSettings(_suppressed(0.25, 0.45), _RGB_LETTERBOX)
YOLOX = YoloSettings(_suppressed(0.3, 0.45), Preprocessing("BGR", (0, 0, 0), (1, 1, 1), "letterbox", _GREY))
