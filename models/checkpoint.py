"""Weights on disk: safetensors with their configuration, or a plain state dict without it.

A checkpoint of ours carries the whole `DetectorConfig` or `OneStageConfig` as JSON in its metadata, so it
needs no further argument. Weights of other floating types are rounded to float32 when they are loaded.
"""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pydantic
from safetensors.torch import save
from torch import Tensor

from pocketdet.errors import CheckpointError, UsageError
from pocketdet.io import atomic_write, os_errors
from pocketdet.models.build import (
    AnyConfig,
    AnyDetector,
    architecture_names,
    build_detector,
    config_of,
    is_one_stage,
    unknown_architecture,
)
from pocketdet.models.config import MAX_CLASSES, DetectorConfig
from pocketdet.models.mimicdet import MimicDet
from pocketdet.models.one_stage import OneStageConfig, OneStageDetector
from pocketdet.models.thundernet import ThunderNet
from pocketdet.models.weight_files import CLASSIFIER, check_fit, check_values, read_metadata, read_weights

FORMAT_VERSION = "1"
ONE_STAGE, TWO_STAGE = "one-stage", "two-stage"
_CONFIGS: MappingProxyType[str, pydantic.TypeAdapter[Any]] = MappingProxyType(
    {TWO_STAGE: pydantic.TypeAdapter(DetectorConfig), ONE_STAGE: pydantic.TypeAdapter(OneStageConfig)}
)
_CARD = pydantic.TypeAdapter(dict[str, str])


def save_checkpoint(path: Path, model: AnyDetector, card: Mapping[str, str] | None = None) -> None:
    """Write weights, configuration and a free-form card, whole or not at all.

    Raises `CheckpointError` if a weight is not finite, `UsageError` if the file cannot be written, the card
    is not text by text or a one-stage network has no `settings`.
    """
    try:
        words = _CARD.validate_python(dict(card or {}), strict=True)
    except pydantic.ValidationError as error:
        raise UsageError(f"the card of {path} cannot be written: {_first(error)}") from error
    config = config_of(model)
    weights = {k: v.detach().cpu().contiguous() for k, v in model.state_dict().items()}
    check_values(path, weights)
    kind = ONE_STAGE if isinstance(model, OneStageDetector) else TWO_STAGE
    metadata = {
        "pocketdet_format": FORMAT_VERSION,
        "detector": kind,
        "config": _CONFIGS[kind].dump_json(config).decode(),
        "card": json.dumps(words),
    }
    with os_errors(UsageError, f"{path.parent}: the folder cannot be made"):
        path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(path, save(weights, metadata))


def read_card(path: Path) -> dict[str, str]:
    """The card stored with a safetensors checkpoint, empty for other files. Raises `CheckpointError`."""
    try:
        return _CARD.validate_json(read_metadata(path).get("card", "{}"), strict=True)
    except pydantic.ValidationError as error:
        raise CheckpointError(f"{path}: its card cannot be read: {_first(error)}") from error


def load_detector(
    path: Path,
    *,
    arch: str | None = None,
    class_names: tuple[str, ...] | None = None,
    input_size: tuple[int, int] | None = None,
) -> AnyDetector:
    """The detector stored at `path`, of either kind, in eval mode. Arguments replace what the file says.

    A MimicDet that was stored for inference comes back without P2 and T-head. Raises `CheckpointError` if the
    file is damaged, or its weights are not finite or do not fit the architecture; `UsageError` if an argument
    cannot be used, or is needed and missing.
    """
    weights, metadata = read_weights(path)
    check_values(path, weights)
    changes: dict[str, Any] = {"arch": arch, "class_names": class_names, "input_size": input_size}
    changes = {k: v for k, v in changes.items() if v is not None}
    if "config" in metadata:
        config = _changed_config(path, _stored_config(path, metadata), changes)
    else:
        config = _new_config(path, weights, changes)
    try:
        model = build_detector(config)
    except UsageError as error:
        if changes:
            raise
        raise CheckpointError(f"{path}: {error}") from error
    if isinstance(model, MimicDet) and not any(name.startswith("teacher.") for name in weights):
        model = model.for_inference()
    check_fit(path, model, weights)
    model.load_state_dict(weights)
    return model


def load_checkpoint(
    path: Path,
    *,
    arch: str | None = None,
    class_names: tuple[str, ...] | None = None,
    input_size: tuple[int, int] | None = None,
) -> ThunderNet:
    """`load_detector` where only two stages will do. Raises `UsageError` for a one-stage detector as well."""
    model = load_detector(path, arch=arch, class_names=class_names, input_size=input_size)
    if isinstance(model, OneStageDetector):
        raise UsageError(f"{path} is {model.settings.arch}, a one-stage detector: expected a ThunderNet")
    return model


def _stored_config(path: Path, metadata: Mapping[str, str]) -> AnyConfig:
    found = metadata.get("pocketdet_format")
    if found != FORMAT_VERSION:
        raise CheckpointError(f"{path}: format {found!r}: expected {FORMAT_VERSION!r}; upgrade pocketdet")
    kind = metadata.get("detector", TWO_STAGE)
    if kind not in _CONFIGS:
        raise CheckpointError(f"{path}: a {kind!r} detector: expected {TWO_STAGE} or {ONE_STAGE}")
    try:
        config: AnyConfig = _CONFIGS[kind].validate_json(metadata["config"])
    except (pydantic.ValidationError, UsageError) as error:
        raise CheckpointError(f"{path}: its configuration cannot be read: {_first(error)}") from error
    return config


def _changed_config(path: Path, stored: AnyConfig, changes: dict[str, Any]) -> AnyConfig:
    """What a file says, with the caller's changes. The kind of a detector cannot be changed."""
    if stored.arch not in architecture_names():
        raise CheckpointError(f"{path}: {unknown_architecture(stored.arch, architecture_names())}")
    arch = changes.get("arch", stored.arch)
    if arch not in architecture_names():
        raise unknown_architecture(arch, architecture_names())
    if is_one_stage(arch) != isinstance(stored, OneStageConfig):
        raise UsageError(
            f"{path} says that it is {stored.arch}, and its weights do not fit {arch}: leave out --arch"
        )
    return dataclasses.replace(stored, **changes)


def _new_config(path: Path, weights: Mapping[str, Tensor], changes: dict[str, Any]) -> AnyConfig:
    """Of a file that holds weights only: what the caller says, and as many classes as the classifier has."""
    if "arch" not in changes:
        raise UsageError(
            f"{path} does not say what it is: name its architecture with --arch: "
            f"{', '.join(architecture_names())}"
        )
    if is_one_stage(changes["arch"]):
        if "class_names" not in changes:
            raise UsageError(f"{path} does not say what it finds: a one-stage detector needs its class names")
        return OneStageConfig(**changes)
    classifier = weights.get(CLASSIFIER)
    outputs = classifier.shape[0] if classifier is not None and classifier.ndim == 2 else 2
    unnamed = tuple(f"class {i}" for i in range(1, min(max(outputs, 2), MAX_CLASSES + 1)))
    return DetectorConfig(**{"class_names": unnamed, **changes})


def _first(error: Exception) -> str:
    if isinstance(error, pydantic.ValidationError):
        detail = error.errors()[0]
        where = ".".join(map(str, detail["loc"]))
        return f"{where}: {detail['msg']}" if where else detail["msg"]
    return str(error)
