"""The fields of a training configuration with their descriptions, for the documentation and for recipes."""

from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, fields
from functools import cache
from types import MappingProxyType
from typing import Any

import pydantic

from pocketdet.models.config import Parts
from pocketdet.training.config import Augment, Evaluation, Optimizer, Schedule, Source, TrainConfig
from pocketdet.training.loss_config import (
    MimicDetLossConfig,
    PASSDLossConfig,
    RetinaNetLossConfig,
    ThunderNetLossConfig,
)

TABLES: MappingProxyType[str, type[Any]] = MappingProxyType(
    {
        "": TrainConfig,
        "data": Source,
        "evaluation": Evaluation,
        "schedule": Schedule,
        "optimizer": Optimizer,
        "augment": Augment,
        "parts": Parts,
        "losses": ThunderNetLossConfig,
        "passd": PASSDLossConfig,
        "retinanet": RetinaNetLossConfig,
        "mimicdet": MimicDetLossConfig,
    }
)
REQUIRED = MISSING
_KINDS = {"integer": "integer", "number": "number", "boolean": "true or false", "string": "text"}


@dataclass(frozen=True)
class RecipeField:
    """One field.

    Attributes:
        kind: its type in words, or the values it can have.
        limits: its range in words, or "".
        default: its value where a recipe does not say, or `REQUIRED`.
        meaning: its description.
    """

    name: str
    kind: str
    limits: str
    default: object
    meaning: str


@dataclass(frozen=True)
class RecipeTable:
    """One table of the file; the name of the fields above all tables is ""."""

    name: str
    meaning: str
    fields: tuple[RecipeField, ...]


@cache
def recipe_tables() -> Mapping[str, RecipeTable]:
    """All tables by name, the fields above them first."""
    return {name: _table(name, record) for name, record in TABLES.items()}


def _table(name: str, record: type[Any]) -> RecipeTable:
    schema = pydantic.TypeAdapter(record).json_schema()
    found = tuple(
        RecipeField(
            field.name, _kind(value), _limits(value), _default(field), _one_line(value["description"])
        )
        for field in fields(record)
        if field.name not in TABLES
        for value in (schema["properties"][field.name],)
    )
    return RecipeTable(name, _one_line(record.__doc__ or ""), found)


def _kind(value: Mapping[str, Any]) -> str:
    if "anyOf" in value:
        return _kind(next(option for option in value["anyOf"] if option.get("type") != "null"))
    if "enum" in value:
        return ", ".join(f'"{choice}"' for choice in value["enum"])
    if value["type"] == "array":
        items = value.get("prefixItems") or [value["items"]]
        length = f"{len(items)} " if "prefixItems" in value else ""
        kind = _kind(items[0])
        return f"list of {length}{kind}{'' if kind == 'text' else 's'}"
    return "path" if value.get("format") == "path" else _KINDS[value["type"]]


def _limits(value: Mapping[str, Any]) -> str:
    if "minimum" not in value:
        return ""
    return " to ".join(f"{v:,.0f}" if v >= 1000 else f"{v:g}" for v in (value["minimum"], value["maximum"]))


def _default(field: "Field[Any]") -> object:
    return field.default_factory() if field.default_factory is not MISSING else field.default


def _one_line(text: str) -> str:
    return " ".join(text.split())
