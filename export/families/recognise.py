"""Which family an ONNX file is of, and its description with the caller's changes."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pocketdet.errors import UsageError
from pocketdet.export.families.base import Family, FamilyOptions, Match, Mismatch
from pocketdet.export.families.faces import BlazeFace, CenterFace, Scrfd, YuNet
from pocketdet.export.families.nanodet import NanoDet, PicoDet
from pocketdet.export.families.rtmdet import RtmDet
from pocketdet.export.families.ssd import SSD_FAMILIES, UltraFace
from pocketdet.export.families.ultralytics import Ultralytics
from pocketdet.export.families.yolo_anchors import YOLOV5_ANCHORS, YOLOV7_ANCHORS, YoloWithAnchors
from pocketdet.export.families.yolo_fastestv2 import FastestDet, YoloFastestV2
from pocketdet.export.families.yolox import Yolov6, Yolox
from pocketdet.export.onnx_graph.image_input import runs_at_any_size
from pocketdet.export.onnx_graph.load import refuse_quantized
from pocketdet.export.onnx_graph.summary import OnnxSummary, summarise
from pocketdet.export.reference.description import (
    Description,
    description_document,
    parse_description,
    read_document,
)

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


@dataclass(frozen=True)
class Described:
    """The description of a file.

    Attributes:
        description: complete.
        lines: how it was found: the family, what was taken and from where, what the caller changed.
    """

    description: Description
    lines: tuple[str, ...]


def describe_file(
    path: Path, outputs: Path | None = None, preset: str | None = None, options: FamilyOptions | None = None
) -> Described:
    """Describe an ONNX file.

    Args:
        path: the file.
        outputs: a description, which replaces recognition; or, if it has no levels, the settings that
            differ from those that are recognised.
        preset: the only family to try.
        options: class names and input size of the caller.

    Raises:
        UsageError: if a file cannot be read or is quantised, the head is of no known family, or options
            contradict.
    """
    options = options or FamilyOptions()
    changes = read_document(outputs) if outputs is not None else {}
    if outputs is not None and "levels" in changes:
        if preset is not None or options.input_size is not None:
            raise UsageError(
                f"{outputs} describes the levels and the input size: leave out --preset and --input-size"
            )
        return Described(parse_description(changes, outputs, options.class_names), ())
    changes, options = _options(changes, options, outputs)
    model = summarise(path)
    refuse_quantized(model.file, path)
    found = recognise(model, options, preset)
    lines = (f"recognised: {found.family.title} ({found.family.name})", *found.match.reasons)
    if outputs is None or not changes:
        return Described(found.match.description, lines)
    merged = _merge(description_document(found.match.description), changes)
    description = parse_description(merged, outputs)
    return Described(description, (*lines, f"changed as {outputs} says: {', '.join(changes)}"))


def _options(
    changes: dict[str, Any], options: FamilyOptions, outputs: Path | None
) -> tuple[dict[str, Any], FamilyOptions]:
    """Class names and input size of a file of changes become options, since a family needs them."""
    rest = {key: value for key, value in changes.items() if key not in ("class_names", "input_size")}
    names, size = changes.get("class_names"), changes.get("input_size")
    if names is not None and not _is_list(names, str):
        raise UsageError(f"{outputs}: class_names: expected a list of names")
    if size is not None and not (_is_list(size, int) and len(size) == 2):
        raise UsageError(f"{outputs}: input_size: expected [height, width]")
    return rest, FamilyOptions(
        options.class_names or (None if names is None else tuple(names)),
        options.input_size or (None if size is None else (size[0], size[1])),
    )


def _is_list(value: object, kind: type) -> bool:
    return isinstance(value, list) and all(isinstance(item, kind) for item in value)


def _merge(document: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Tables are merged field by field; other values are replaced."""
    merged = json.loads(json.dumps(document))
    for key, value in changes.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = {**merged[key], **value} if both else value
    return dict(merged)
