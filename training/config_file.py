"""Training configurations as TOML files."""

import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar, get_args, get_type_hints

import pydantic

from pocketdet.datasets.image_file import no_such_path
from pocketdet.errors import UsageError, did_you_mean
from pocketdet.models.build import ARCHITECTURES, ONE_STAGE, unknown_architecture
from pocketdet.models.config import Parts, RoIHead
from pocketdet.models.zoo import weights_file
from pocketdet.training.config import Evaluation, Source, TrainConfig
from pocketdet.training.loss_config import MimicDetLossConfig, PASSDLossConfig, RetinaNetLossConfig

_CONFIG = pydantic.TypeAdapter(TrainConfig)
FREE = ("out", "weights", "class_names", "save_every", "data", "evaluation", "nms")
RESUMABLE = ("schedule.images", "schedule.learning_rate")
_DEFAULTS = MappingProxyType(
    {
        "parts": Parts(),
        "fc_channels": RoIHead().fc_channels,
        "base_size": None,
        "passd": PASSDLossConfig(),
        "retinanet": RetinaNetLossConfig(),
        "mimicdet": MimicDetLossConfig(),
    }
)
_Data = TypeVar("_Data", Source, Evaluation)


def read_config(path: Path) -> TrainConfig:
    """Read a TOML file; paths in it are relative to it. Raises `UsageError` that names the setting."""
    if not path.exists():
        raise no_such_path(path)
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path}: cannot be read as a training configuration: {error}") from error
    try:
        config = _CONFIG.validate_python(content)
    except pydantic.ValidationError as error:
        raise UsageError(f"{path}: {_first(error)}") from error
    architectures = (*ARCHITECTURES, *ONE_STAGE)
    if config.arch not in architectures:
        raise UsageError(f"{path}: arch: {unknown_architecture(config.arch, architectures)}")
    folder = path.parent
    try:
        weights = None if config.weights is None else _weights(config.weights, folder)
    except UsageError as error:
        raise UsageError(f"{path}: weights: {error}") from error
    config = with_data_paths(config, lambda given: folder / given)
    return replace(config, out=folder / config.out, weights=weights)


def with_data_paths(config: TrainConfig, change: Callable[[Path], Path]) -> TrainConfig:
    """The configuration with every path of annotations and images changed."""

    def changed(data: _Data) -> _Data:
        images = None if data.images is None else change(data.images)
        return replace(data, annotations=change(data.annotations), images=images)

    evaluation = None if config.evaluation is None else changed(config.evaluation)
    return replace(config, data=tuple(map(changed, config.data)), evaluation=evaluation)


def fingerprint(config: TrainConfig) -> str:
    """The configuration as JSON, without where it reads, starts and writes, and without what comes after.

    How often it saves, what it is measured on, and `nms`, which comes after the network, do not touch the
    weights. What is as usual and came later than the first runs is not said, so that those are resumed too.
    """
    values: dict[str, Any] = _CONFIG.dump_python(config, mode="json")
    for name in FREE:
        values.pop(name)
    for name, default in _DEFAULTS.items():
        if getattr(config, name) == default:
            values.pop(name)
    shares = [s.share for s in config.data]
    if any(source.hold_out for source in config.data):
        values["data.hold_out"] = [source.hold_out for source in config.data]
    return pydantic.TypeAdapter(dict[str, Any]).dump_json({**values, "shares": shares}).decode()


def changed_fields(before: str, now: str) -> list[str]:
    """How one `fingerprint` differs from another in what a resumed run may not change.

    It may change `RESUMABLE`, of which each step is a function, and what is not in a fingerprint.

    Returns:
        A phrase for each field, such as "schedule.batch was 4 and is 8".

    Raises:
        ValueError: if one of them is no fingerprint.
    """
    adapter = pydantic.TypeAdapter(dict[str, Any])
    usual = {n: _CONFIG.dump_python(_usual(), mode="json")[n] for n in _DEFAULTS}
    old, new = (_flat({**usual, **adapter.validate_json(text)}) for text in (before, now))
    return [
        f"{'data.share' if name == 'shares' else name} was {old.get(name)} and is {new.get(name)}"
        for name in sorted({*old, *new})
        if name not in RESUMABLE and old.get(name) != new.get(name)
    ]


def _usual() -> TrainConfig:
    return TrainConfig((Source(Path("data")),), Path("out"))


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested tables as one with dotted names."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        inner = isinstance(value, dict)
        flat.update(_flat(value, f"{prefix}{name}.") if inner else {f"{prefix}{name}": value})
    return flat


def _weights(weights: Path, folder: Path) -> Path:
    """A file beside the configuration, or one of the zoo where there is none. Raises `UsageError`."""
    if (folder / weights).exists():
        return folder / weights
    in_zoo = weights_file(weights)
    return folder / weights if in_zoo == weights else in_zoo


def _first(error: pydantic.ValidationError) -> str:
    """The first error, with the nearest name to a field or a choice that does not exist."""
    detail = error.errors()[0]
    where = ".".join(str(part) for part in detail["loc"])
    if detail["type"] == "unexpected_keyword_argument":
        table, name = _table(detail["loc"][:-1]), str(detail["loc"][-1])
        known = [field.name for field in fields(table)]
        hint = did_you_mean(name, known) or f"; known: {', '.join(known)}"
        if name in (field.name for field in fields(TrainConfig)):
            hint = f"; {name} belongs above the first table of the file"
        return f"{where}: unknown field{hint}"
    message = detail["msg"].removeprefix("Value error, ")
    if detail["type"] == "literal_error":
        message += did_you_mean(
            str(detail["input"]), re.findall(r"'([^']*)'", detail.get("ctx", {})["expected"])
        )
    return f"{where}: {message}" if where else message


def _table(location: Sequence[str | int]) -> Any:
    """The record that is at a place of the configuration."""
    record: Any = TrainConfig
    for part in location:
        if isinstance(part, str):
            hint = get_type_hints(record)[part]
            record = next(each for each in (hint, *get_args(hint)) if is_dataclass(each))
    return record
