"""Training configurations as TOML files."""

import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pydantic

from pocketdet.errors import UsageError
from pocketdet.models.training.config import TrainConfig

_CONFIG = pydantic.TypeAdapter(TrainConfig)


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
    sources = tuple(
        replace(s, annotations=folder / s.annotations, images=None if s.images is None else folder / s.images)
        for s in config.data
    )
    return replace(config, data=sources, out=folder / config.out)


def fingerprint(config: TrainConfig) -> str:
    """The configuration as JSON, without what a resumed run may change (`out`, `save_every`, paths)."""
    fields: dict[str, Any] = _CONFIG.dump_python(config, mode="json")
    for name in ("out", "save_every", "data"):
        fields.pop(name)
    shares = [s.share for s in config.data]
    return pydantic.TypeAdapter(dict[str, Any]).dump_json({**fields, "shares": shares}).decode()


def _first(error: pydantic.ValidationError) -> str:
    detail = error.errors()[0]
    where = ".".join(str(part) for part in detail["loc"])
    message = detail["msg"].removeprefix("Value error, ")
    return f"{where}: {message}" if where else message
