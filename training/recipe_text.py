"""A recipe as a TOML file, with every field that concerns its detector and a comment on each.

The fields with their descriptions are those of the documentation too.
"""

import json
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, fields, replace
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pydantic

from pocketdet.errors import UsageError
from pocketdet.io import atomic_replace
from pocketdet.models.build import is_one_stage
from pocketdet.models.config import Parts
from pocketdet.training.config import Augment, Evaluation, Optimizer, Schedule, Source, TrainConfig
from pocketdet.training.config_file import with_data_paths
from pocketdet.training.loss_config import (
    MimicDetLossConfig,
    PASSDLossConfig,
    RetinaNetLossConfig,
    ThunderNetLossConfig,
)
from pocketdet.training.recipe import NewRecipe

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


TWO_STAGE_FIELDS = ("anchor_scales", "fc_channels", "background_bias")
ONE_STAGE_FIELDS = ("base_size",)
WIDTH = 100  # characters of a comment


def write_recipe(path: Path, recipe: NewRecipe) -> None:
    """Write a recipe as TOML, with paths in its folder relative to it.

    Raises:
        UsageError: if there is a file already, or it cannot be written.
    """
    content = "\n".join(_lines(path, recipe)) + "\n"
    try:
        atomic_replace(path, content.encode(), exist_ok=False)
    except FileExistsError as error:
        raise UsageError(
            f"{path} exists: remove it, or name another file: pocketdet train --init DATA other.toml"
        ) from error
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror or error}") from error


def _lines(path: Path, recipe: NewRecipe) -> Iterator[str]:
    folder, config = path.resolve().parent, recipe.config
    config = with_data_paths(config, lambda given: _relative(given, folder))
    if config.weights is not None and config.weights.exists():
        config = replace(config, weights=_relative(config.weights, folder))
    one_stage = is_one_stage(config.arch)
    yield from _head(path, recipe, config)
    yield ""
    tables = recipe_tables()
    for field in tables[""].fields:
        if field.name not in (TWO_STAGE_FIELDS if one_stage else ONE_STAGE_FIELDS):
            yield from _field(field, getattr(config, field.name))
    for name in ("data", "evaluation", "schedule", "optimizer", "augment", "parts", config.loss_table):
        if name == "parts" and one_stage:
            continue
        value = config.data[0] if name == "data" else getattr(config, name)
        yield ""
        yield from _comment(tables[name].meaning)
        if value is None:
            yield from _missing_evaluation()
            continue
        yield "[[data]]" if name == "data" else f"[{name}]"
        for field in tables[name].fields:
            yield from _field(field, getattr(value, field.name))


def _head(path: Path, recipe: NewRecipe, config: TrainConfig) -> Iterator[str]:
    dataset = recipe.training
    name = path.name if path.name.isprintable() else "RECIPE"
    counts = f"{len(dataset.images)} images, {dataset.objects} objects, {len(dataset.class_names)} classes"
    yield from _comment(f"Training on {_toml(config.data[0].annotations)}: {counts}.")
    yield f"#   pocketdet train {name}             start"
    yield f"#   pocketdet train {name} --resume    go on after Ctrl-C, or with more images"
    yield "# Paths are relative to this file. Values are those of the recipes in training/recipes."
    if config.weights is not None:
        classes = "and classes" if recipe.keeps_classes else "but not the classes"
        yield from _comment(
            f"Anchors, architecture and input size {classes} are those of {_toml(config.weights)}."
        )


def _missing_evaluation() -> Iterator[str]:
    yield from _comment(
        "No images to measure on were found. Keep some apart from the training data, and name them:"
    )
    yield from ("# [evaluation]", '# annotations = "val"')


def _field(field: RecipeField, value: object) -> Iterator[str]:
    limits = field.limits or (field.kind if '"' in field.kind else "")
    yield from _comment(f"{field.meaning} [{limits}]" if limits else field.meaning)
    yield f"# {field.name} = {_example(field)}" if value is None else f"{field.name} = {_toml(value)}"


def _example(field: RecipeField) -> str:
    """A value of a field that the recipe does not set."""
    return {"path": '"images"', "text": '"train"', "number": "4.0"}.get(field.kind) or field.kind.partition(
        ","
    )[0]


def _comment(text: str) -> Iterator[str]:
    for line in textwrap.wrap(text, WIDTH, break_long_words=False, break_on_hyphens=False):
        yield f"# {line}"


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml, value))}]"
    # JSON's escapes are TOML's, but for the one character that JSON leaves as it is
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")


def _relative(path: Path, folder: Path) -> Path:
    whole = path.resolve()
    return whole.relative_to(folder) if whole.is_relative_to(folder) else whole
