"""Training configurations as TOML files."""

import tomllib
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import pydantic

from pocketdet.errors import UsageError
from pocketdet.models.config import Parts, RoIHead
from pocketdet.models.zoo import weights_file
from pocketdet.training.config import (
    Evaluation,
    MimicDetLossConfig,
    PASSDLossConfig,
    RetinaNetLossConfig,
    Source,
    TrainConfig,
)

_CONFIG = pydantic.TypeAdapter(TrainConfig)
FREE = ("out", "weights", "save_every", "data", "evaluation", "nms")
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
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path}: cannot be read as a training configuration: {error}") from error
    try:
        config = _CONFIG.validate_python(content)
    except pydantic.ValidationError as error:
        raise UsageError(f"{path}: {_first(error)}") from error
    folder = path.parent
    return replace(
        config,
        data=tuple(_located(source, folder) for source in config.data),
        evaluation=None if config.evaluation is None else _located(config.evaluation, folder),
        out=folder / config.out,
        weights=None if config.weights is None else _weights(config.weights, folder),
    )


def fingerprint(config: TrainConfig) -> str:
    """The configuration as JSON, without what a resumed run may change.

    That is where it reads, starts and writes, how often it saves, what it is measured on, and `nms`, which
    comes after the network: none of it touches the weights after a checkpoint. What is as
    usual and came later than the first runs is not said, so that those are resumed too.
    """
    fields: dict[str, Any] = _CONFIG.dump_python(config, mode="json")
    for name in FREE:
        fields.pop(name)
    for name, default in _DEFAULTS.items():
        if getattr(config, name) == default:
            fields.pop(name)
    shares = [s.share for s in config.data]
    return pydantic.TypeAdapter(dict[str, Any]).dump_json({**fields, "shares": shares}).decode()


def _weights(weights: Path, folder: Path) -> Path:
    """A file beside the configuration, or one of the zoo where there is none."""
    in_zoo = weights_file(weights)
    return folder / weights if in_zoo == weights or (folder / weights).exists() else in_zoo


def _located(data: _Data, folder: Path) -> _Data:
    images = None if data.images is None else folder / data.images
    return replace(data, annotations=folder / data.annotations, images=images)


def _first(error: pydantic.ValidationError) -> str:
    detail = error.errors()[0]
    where = ".".join(str(part) for part in detail["loc"])
    message = detail["msg"].removeprefix("Value error, ")
    return f"{where}: {message}" if where else message
