"""The class names of a file: those that are given, those of its metadata, COCO's, or numbers."""

import ast
from collections.abc import Mapping

from pocketdet.errors import UsageError

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
