"""A description as TOML, to read and to edit. `read_description` reads it back to an equal one."""

import dataclasses
import json
from collections.abc import Iterable, Mapping
from typing import Any

from pocketdet.export.reference.description import Description

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
    """A description as a TOML file.

    Args:
        description: to write.
        comments: lines at the top.
    """
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
    for field in dataclasses.fields(record):
        value = getattr(record, field.name)
        kind = field.name == "encoding"  # tells the codings apart
        if value is not None and (whole or kind or value != field.default):
            table[field.name] = _plain(value)
    return table


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
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
