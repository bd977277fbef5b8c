"""A recipe for a user's own annotated images, written as TOML.

The file has every field that concerns its detector with a comment on each. The fields with their descriptions
are those of the documentation too.
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

from pocketdet.datasets import Dataset, read_sources
from pocketdet.datasets.layout import OwnData, find_own_data
from pocketdet.datasets.records import hold_out
from pocketdet.errors import UsageError
from pocketdet.io import atomic_replace
from pocketdet.models.build import AnyConfig, config_of, is_one_stage
from pocketdet.models.checkpoint import load_detector
from pocketdet.models.config import DetectorConfig, Parts
from pocketdet.models.zoo import weights_file
from pocketdet.training.config import Augment, Evaluation, Optimizer, Schedule, Source, TrainConfig
from pocketdet.training.config_file import read_config, with_data_paths
from pocketdet.training.loss_config import (
    MimicDetLossConfig,
    PASSDLossConfig,
    RetinaNetLossConfig,
    ThunderNetLossConfig,
)

RECIPES = Path(__file__).parent / "recipes"
REPETITIONS = 40  # of each image, by default
HELD_OUT = 0.1  # of the images, where none are for evaluation
FEWEST_TO_PART = 10  # images
FEWEST, MOST = 3000, 150_000  # images seen, by default


@dataclass(frozen=True)
class NewRecipe:
    """A recipe, its paths as they were given, and what it was made for.

    Attributes:
        training, evaluation: the annotated images, as they were read.
        keeps_classes: whether the weights that it starts from have the same classes.
    """

    config: TrainConfig
    training: Dataset
    evaluation: Dataset | None
    keeps_classes: bool


def new_recipe(data: Path, weights: str | None, images: int | None) -> NewRecipe:
    """A recipe for annotated images.

    Args:
        data: a COCO json file or a folder with annotations, see `find_own_data`.
        weights: a checkpoint or a name of the zoo to start from; None for new weights.
        images: images to see in all; None for some repetitions of the training data.

    Raises:
        CheckpointError: if the weights cannot be read.
        UsageError: if the data cannot be read.
    """
    own = find_own_data(data)
    sources = [own.training, *([own.evaluation] if own.evaluation else [])]
    training, *others = read_sources(sources)
    names = training.class_names
    if not names:
        raise UsageError(f"{data}: has no objects")
    given = config_of(load_detector(weights_file(Path(weights)))) if weights else None
    keeps_classes = given is not None and set(given.class_names) == set(names)
    if given is not None and keeps_classes:
        names = given.class_names
    config = _config(own, given, weights, names)
    measured = others[0] if others else None
    if measured is None and len(training.images) >= FEWEST_TO_PART:
        kept, held = hold_out(training, HELD_OUT)
        if held.objects:
            training, measured = kept, held
            config = _holding_out(config)
    schedule = _schedule(config, images or min(MOST, max(FEWEST, REPETITIONS * len(training.images))))
    config = replace(config, schedule=schedule, save_every=min(250, max(1, schedule.steps // 4)))
    if config.evaluation is not None:
        evaluation = replace(config.evaluation, every=max(1, schedule.steps // 10))
        config = replace(config, evaluation=evaluation)
    return NewRecipe(config, training, measured, keeps_classes)


def _holding_out(config: TrainConfig) -> TrainConfig:
    """The configuration with a part of its only data held out of training, to be measured on."""
    (source,) = config.data
    evaluation = Evaluation(source.annotations, source.images, source.split, hold_out=HELD_OUT)
    return replace(config, data=(replace(source, hold_out=HELD_OUT),), evaluation=evaluation)


def _config(
    own: OwnData, given: AnyConfig | None, weights: str | None, names: tuple[str, ...]
) -> TrainConfig:
    """The numbers of the zoo's recipes, for the detector of the weights."""
    one_stage = given is not None and is_one_stage(given.arch)
    base = read_config(RECIPES / ("fod_a_passd_mobilenet.toml" if one_stage else "fod_a_snet49.toml"))
    measured = own.evaluation
    config = replace(
        base,
        data=(Source(own.training.annotations, own.training.images, own.training.split),),
        evaluation=Evaluation(measured.annotations, measured.images, measured.split) if measured else None,
        out=Path("runs") / _name(own.training.annotations.resolve()),
        weights=Path(weights) if weights else None,
        class_names=names,
        augment=Augment(kind="ssd"),
    )
    if given is None:
        return replace(config, anchor_scales=DetectorConfig("", names).anchors.scales)
    config = replace(config, arch=given.arch, input_size=given.input_size)
    if isinstance(given, DetectorConfig):
        scales, width = given.anchors.scales, given.head.fc_channels
        return replace(config, anchor_scales=scales, fc_channels=width, parts=given.parts)
    return replace(config, base_size=given.base_size)


def _name(data: Path) -> str:
    """What the data are called, for the folder of the run."""
    if data.is_dir():
        return data.name
    return data.stem if data.suffix.lower() == ".json" else data.parent.name


def _schedule(config: TrainConfig, images: int) -> Schedule:
    """The schedule of the recipe that the configuration is of, for so many images."""
    batch = min(config.schedule.batch, images)
    rate = config.schedule.learning_rate / (2 if config.weights else 1)  # trained weights need less
    schedule = replace(
        config.schedule, images=images, batch=batch, learning_rate=rate, early_sizes=(), early_share=0.0
    )
    side = max(32, min(config.input_size) // 32 * 32)
    return replace(schedule, warmup_steps=min(150, schedule.steps // 10), sizes=(side,))


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
