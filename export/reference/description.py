"""The description of an ONNX detector's outputs, read from TOML or JSON: docs/reference/description.md.

It contains the settings of `OneStageSpec`. Values that follow from others may be omitted: grids, the rows of
levels that share a tensor, the anchor of an anchor-free detector, the tensor of fields that share one.
`description_toml` writes a description to be read and edited; `read_description` reads it back.
"""

import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any

import pydantic

from pocketdet.errors import UsageError, did_you_mean
from pocketdet.io import read_regular
from pocketdet.models.config import Preprocessing, check_class_names
from pocketdet.spec.one_stage import (
    BoxCoding,
    CxcywhCoding,
    DistanceCoding,
    Layout,
    Level,
    OneStageSpec,
    OutputField,
    Scores,
    Selection,
    XyxyCoding,
    default_grid,
)
from pocketdet.spec.one_stage_words import current_words
from pocketdet.spec.validated import ValidatedConfig

MAX_BYTES = 4 << 20


@dataclass(frozen=True)
class DescribedField(ValidatedConfig):
    """An `OutputField`. `output`, `layout` default to those of the level, `first_row` to the next free."""

    first: int = 0
    output: str | None = None
    layout: Layout | None = None
    anchor_channels: int = 0
    element_step: int = 1
    first_row: int | None = None
    cell_step: int | None = None
    anchor_step: int = 1


@dataclass(frozen=True)
class DescribedLevel(ValidatedConfig):
    """A `Level`. A field may be given as the number of its first channel.

    Attributes:
        boxes: one field, or one for each coding.
        grid: by default the input's size divided by the stride, rounded up.
        anchors: by default the cell itself.
        sizes: where the second half of the box values lies in a tensor of its own: one field, or one for each
            coding.
    """

    stride: float | tuple[float, float]
    classes: DescribedField | int
    boxes: DescribedField | int | tuple[DescribedField | int, ...]
    objectness: DescribedField | int | None = None
    output: str | None = None
    layout: Layout = "map"
    grid: tuple[int, int] | None = None
    anchors: tuple[tuple[float, float], ...] | None = None
    offset: float = 0.5
    sizes: DescribedField | int | tuple[DescribedField | int | None, ...] | None = None

    def __post_init__(self) -> None:
        self._within(1, 4096, "stride")


@dataclass(frozen=True)
class Description(ValidatedConfig):
    """The settings that an ONNX file does not contain.

    `preprocessing` has the fields of a manifest; `scores`, `codings` and `selection` are those of
    `OneStageSpec`.
    """

    input_size: tuple[int, int]
    class_names: tuple[str, ...]
    levels: tuple[DescribedLevel, ...]
    codings: tuple[BoxCoding, ...] = (CxcywhCoding(),)
    scores: Scores = field(default_factory=Scores)
    selection: Selection = field(default_factory=Selection)
    preprocessing: Preprocessing = field(default_factory=Preprocessing)

    def __post_init__(self) -> None:
        check_class_names(self)

    def spec(self) -> OneStageSpec:
        """The complete specification. Raises `UsageError` if the settings do not match each other."""
        rows: dict[str, int] = {}
        levels = tuple(self._level(number, level, rows) for number, level in enumerate(self.levels))
        return OneStageSpec(
            self.input_size, len(self.class_names), levels, self.codings, self.scores, self.selection
        )

    def _level(self, number: int, level: DescribedLevel, rows: dict[str, int]) -> Level:
        """Complete one level; `rows` counts the rows of each tensor that earlier levels use."""
        cell = level.stride if isinstance(level.stride, tuple) else (level.stride, level.stride)
        grid = level.grid or default_grid(self.input_size, level.stride)
        boxes = level.boxes if isinstance(level.boxes, tuple) else (level.boxes,)
        sizes = level.sizes if isinstance(level.sizes, tuple) else (level.sizes,)
        sizes = () if level.sizes is None else sizes

        def output_field(name: str, given: DescribedField | int) -> OutputField:
            said = DescribedField(given) if isinstance(given, int) else given
            output, layout = said.output or level.output, said.layout or level.layout
            if output is None:
                raise UsageError(
                    f"levels.{number}.{name}: expected the name of an output, here or in the level"
                )
            first_row = said.first_row
            if first_row is None:
                first_row = rows.get(output, 0) if layout != "map" else 0
            return OutputField(
                output,
                layout,
                said.first,
                said.anchor_channels,
                said.element_step,
                first_row,
                said.cell_step,
                said.anchor_step,
            )

        made = Level(
            grid,
            level.stride,
            level.anchors or ((float(cell[0]), float(cell[1])),),
            classes=output_field("classes", level.classes),
            boxes=tuple(output_field("boxes", one) for one in boxes),
            objectness=None if level.objectness is None else output_field("objectness", level.objectness),
            offset=level.offset,
            sizes=tuple(None if one is None else output_field("sizes", one) for one in sizes),
        )
        taken: dict[str, int] = {}
        for one in (made.classes, *made.boxes, *made.sizes, made.objectness):
            if one is not None and one.layout != "map":
                taken[one.output] = max(made.rows(one), taken.get(one.output, 0))
        for output, count in taken.items():
            rows[output] = rows.get(output, 0) + count
        return made


def read_description(path: Path, class_names: tuple[str, ...] | None = None) -> Description:
    """Read a description.

    Args:
        path: a .json file, or a TOML file of any other name.
        class_names: replace those of the file, which may then omit them.

    Raises:
        UsageError: if the file cannot be read or a field is invalid; the message names the field.
    """
    return parse_description(read_document(path), path, class_names)


def read_document(path: Path) -> dict[str, Any]:
    """Read the tables of a description without validating them.

    Args:
        path: a .json file, or a TOML file of any other name.

    Raises:
        UsageError: if the file cannot be read, or is neither TOML nor JSON.
    """
    try:
        data = read_regular(path, MAX_BYTES)
        if len(data) > MAX_BYTES:
            raise UsageError(f"{path}: larger than {MAX_BYTES} bytes, the limit for a description")
        text = data.decode("utf-8-sig")
        document: Any = json.loads(text) if path.suffix.lower() == ".json" else tomllib.loads(text)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:  # of tomllib, json and text that is not UTF-8
        raise UsageError(f"{path}: expected TOML (or JSON, by its name): {error}") from error
    if not isinstance(document, dict):
        raise UsageError(f"{path}: expected tables of settings, found {type(document).__name__}")
    return document


def parse_description(
    document: Mapping[str, Any], path: Path, class_names: tuple[str, ...] | None = None
) -> Description:
    """Validate the tables of a description.

    Args:
        document: as `read_document` returns them.
        path: that errors name.
        class_names: replace those of the document, which may then omit them.

    Raises:
        UsageError: if a field is invalid; the message names the field.
    """
    content = dict(document)
    if class_names is not None:
        content["class_names"] = class_names
    elif "class_names" not in content:
        raise UsageError(
            f"{path}: expected class_names in the file, or a file with one name per line as --names"
        )
    try:
        return pydantic.TypeAdapter(Description).validate_json(json.dumps(current_words(content)))
    except pydantic.ValidationError as error:
        raise UsageError(f"{path}: {_sentence(error.errors()[0])}") from error
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error
    except (ValueError, TypeError, RecursionError) as error:  # dates of TOML, too deep nesting
        raise UsageError(f"{path}: expected numbers, texts, lists and tables: {error}") from error


def _sentence(problem: Mapping[str, Any]) -> str:
    """One of pydantic's errors in the words of the documentation."""
    place, kind = _place(problem["loc"]), problem["type"]
    if kind == "union_tag_not_found":
        return f"{place}.encoding: missing: expected 'cxcywh', 'distance' or 'xyxy'"
    if kind == "union_tag_invalid":
        return (
            f"{place}.encoding: found {problem['ctx']['tag']!r}: expected {problem['ctx']['expected_tags']}"
        )
    if kind == "unexpected_keyword_argument":
        return f"{place}: unknown field{did_you_mean(str(problem['loc'][-1]), _field_names())}"
    return f"{place}: {'missing' if kind == 'missing' else problem['msg']}"


def _field_names() -> set[str]:
    """Of all tables of a description."""
    records = (Description, DescribedLevel, DescribedField, Preprocessing, Scores, Selection)
    codings = (CxcywhCoding, DistanceCoding, XyxyCoding)
    return {each.name for record in (*records, *codings) for each in fields(record)}


def _place(location: tuple[int | str, ...]) -> str:
    """The name of a field, without pydantic's names of union members."""
    kinds = ("int", "float", "str", "DescribedField", "cxcywh", "distance", "xyxy")
    return ".".join(str(part) for part in location if part not in kinds and "[" not in str(part)) or "it"


Document = dict[str, Any]
# tables that are written in full, so that every value to edit is there
_WHOLE = ("preprocessing", "scores", "selection")


def description_document(description: Description) -> Document:
    """A description as the content of its file. Values that a reader assumes by default are left out of
    levels and codings; settings that are `None` are left out everywhere.
    """
    return {
        "input_size": list(description.input_size),
        "class_names": list(description.class_names),
        **{name: _table(getattr(description, name), whole=True) for name in _WHOLE},
        "levels": [_table(level) for level in description.levels],
        "codings": [_table(coding) for coding in description.codings],
    }


def description_toml(description: Description, comments: Iterable[str] = ()) -> str:
    """A description as a TOML file."""
    document = description_document(description)
    parts = [f"# {line}\n" for comment in comments for line in comment.splitlines()]
    parts += [f"{key} = {_value(document[key])}\n" for key in ("input_size", "class_names")]
    for name in _WHOLE:
        parts.append(f"\n[{name}]\n{_lines(document[name])}")
    for name in ("levels", "codings"):
        parts += [f"\n[[{name}]]\n{_lines(entry)}" for entry in document[name]]
    return "".join(parts)


def _table(record: Any, *, whole: bool = False) -> Document:
    """The fields of a dataclass that are not `None`, nor, unless `whole`, their defaults."""
    table: Document = {}
    for entry in fields(record):
        value = getattr(record, entry.name)
        kind = entry.name == "encoding"  # tells the codings apart
        if value is not None and (whole or kind or value != entry.default):
            table[entry.name] = _plain(value)
    return table


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        table = _table(value)
        return table.get("first", 0) if set(table) <= {"first"} else table
    return [_plain(item) for item in value] if isinstance(value, tuple | list) else value


def _lines(table: Mapping[str, Any]) -> str:
    return "".join(f"{key} = {_value(value)}\n" for key, value in table.items())


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_value(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    if isinstance(value, str):  # JSON's escapes are TOML's, but DEL must be one, too
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return str(value).lower() if isinstance(value, bool) else repr(value)
