"""Which family a file is of."""

from dataclasses import dataclass, replace

from pocketdet.errors import UsageError
from pocketdet.export.families.base import Family, FamilyOptions, Match, Mismatch
from pocketdet.export.families.blazeface import BlazeFace
from pocketdet.export.families.centerface import CenterFace
from pocketdet.export.families.fastestdet import FastestDet
from pocketdet.export.families.nanodet import NanoDet, PicoDet
from pocketdet.export.families.rtmdet import RtmDet
from pocketdet.export.families.scrfd import Scrfd
from pocketdet.export.families.ssd import SSD_FAMILIES
from pocketdet.export.families.ultraface import UltraFace
from pocketdet.export.families.ultralytics import Ultralytics
from pocketdet.export.families.yolo_anchors import YOLOV5_ANCHORS, YOLOV7_ANCHORS, YoloWithAnchors
from pocketdet.export.families.yolo_fastestv2 import YoloFastestV2
from pocketdet.export.families.yolox import Yolov6, Yolox
from pocketdet.export.families.yunet import YuNet
from pocketdet.export.onnx_graph.image_input import runs_at_any_size
from pocketdet.export.onnx_graph.summary import OnnxSummary

# the first that matches is taken: a family whose form includes another's comes before it
FAMILIES: tuple[Family, ...] = (
    Ultralytics(),
    YoloWithAnchors("yolov5", "YOLOv5 with anchors", YOLOV5_ANCHORS),
    YoloWithAnchors("yolov7", "YOLOv7", YOLOV7_ANCHORS),
    Yolox(),
    Yolov6(),
    NanoDet(),
    PicoDet(),
    RtmDet(),
    FastestDet(),
    YoloFastestV2(),
    UltraFace(),
    *SSD_FAMILIES,
    YuNet(),
    Scrfd(),
    BlazeFace(),
    CenterFace(),
)
DEFAULT_SIZE = (640, 640)
SHOWN = 3


@dataclass(frozen=True)
class Recognised:
    """A file's family and what it found."""

    family: Family
    match: Match


def recognise(
    model: OnnxSummary, options: FamilyOptions | None = None, preset: str | None = None
) -> Recognised:
    """Find the family of a file.

    Args:
        model: the file.
        options: what the caller says about it.
        preset: the only family to try.

    Returns:
        The first family of `FAMILIES` that the file matches.

    Raises:
        UsageError: if no family matches, with the nearest and what differs; if there is no such preset; if
            the file is of a family and cannot be exported.
    """
    options = options or FamilyOptions()
    families = [family for family in FAMILIES if preset in (None, family.name)]
    if not families:
        known = ", ".join(family.name for family in FAMILIES)
        raise UsageError(f"there is no preset {preset!r}: expected one of {known}")
    options = replace(options, forced=preset is not None)
    model, origin = _at_size(model, options)
    mismatches: list[tuple[Family, Mismatch]] = []
    for family in families:
        found = family.match(model, options)
        if isinstance(found, Match):
            size_line = f"input {_sides(found.description.input_size)}, {origin}"
            return Recognised(family, replace(found, reasons=(size_line, *found.reasons)))
        mismatches.append((family, found))
    raise UsageError(_unknown(model, mismatches))


def _at_size(model: OnnxSummary, options: FamilyOptions) -> tuple[OnnxSummary, str]:
    """The file at the size of the options, its input, its metadata, or 640; and where that is from."""
    fixed = model.image.fixed_size
    if options.input_size is not None:
        if fixed not in (None, options.input_size) and not runs_at_any_size(model.file):
            raise UsageError(
                f"{model.path}: its input is {_sides(fixed)} and --input-size says "
                f"{_sides(options.input_size)}: leave it out, or export the file anew"
            )
        return model.at(options.input_size), "as given"
    if model.input_size is not None:
        return model, "the size of the file's input"
    stored = _stored_size(model.metadata.get("imgsz", ""))
    if stored is not None:
        return model.at(stored), "as in the file's metadata"
    return model.at(DEFAULT_SIZE), "chosen: the file's input is of any size; --input-size chooses another"


def _stored_size(text: str) -> tuple[int, int] | None:
    """(height, width) of metadata such as "[320, 320]"; None if it is nothing like it."""
    sides = text.strip("[]() ").split(",")
    numbers = [int(side) for side in sides if side.strip().isascii() and side.strip().isdigit()]
    if len(numbers) != len(sides) or len(numbers) not in (1, 2):
        return None
    return (numbers[0], numbers[-1]) if all(32 <= number <= 4096 for number in numbers) else None


def _sides(size: tuple[int, int] | None) -> str:
    return "free" if size is None else f"{size[0]}x{size[1]}"


def _unknown(model: OnnxSummary, mismatches: list[tuple[Family, Mismatch]]) -> str:
    """The sentence about a file of no family: the nearest ones, what differs, and inner tensors to name."""
    mismatches.sort(key=lambda pair: -pair[1].fits)
    nearest = [
        f"{family.name} ({'; '.join(mismatch.differences)})" for family, mismatch in mismatches[:SHOWN]
    ]
    candidates = ", ".join(f"{c.name!r} {c.shape}" for c in model.candidates[:12]) or "none"
    outputs = ", ".join(f"{output.name!r} {model.shapes.get(output.name)}" for output in model.outputs)
    return (
        f"{model.path}: its head is of no known family. Outputs: {outputs}. Nearest families: "
        f"{'; '.join(nearest)}. Describe the head with --outputs FILE (docs/reference/description.md), which "
        f"may name inner tensors, such as the raw maps {candidates}"
    )
