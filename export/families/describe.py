"""The description of an ONNX file: from its family, with the caller's changes."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pocketdet.errors import UsageError
from pocketdet.export.families.base import FamilyOptions
from pocketdet.export.families.recognise import recognise
from pocketdet.export.onnx_graph.load import refuse_quantized
from pocketdet.export.onnx_graph.summary import summarise
from pocketdet.export.reference.description import (
    Description,
    description_document,
    parse_description,
    read_document,
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
    path: Path,
    outputs: Path | None = None,
    preset: str | None = None,
    options: FamilyOptions | None = None,
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
