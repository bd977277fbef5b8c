"""Earlier words of the one-stage specification, in descriptions and in manifests up to version 3."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

_LEVEL_NAMES: Mapping[str, str] = MappingProxyType({"priors": "anchors"})
_FIELD_NAMES: Mapping[str, str] = MappingProxyType({"prior_step": "anchor_channels"})
_CODING_NAMES: Mapping[str, str] = MappingProxyType({"form": "encoding"})
_CODING_VALUES: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "encoding": {"centre": "cxcywh", "corner": "xyxy"},
        "origin": {"prior": "anchor"},
        "centre_unit": {"prior": "anchor"},
        "size_unit": {"prior": "anchor"},
        "unit": {"prior": "anchor"},
    }
)


def current_words(document: Any) -> Any:
    """Return a specification with the current words in place of earlier ones.

    Args:
        document: the JSON of a `OneStageSpec` or of a description, not yet validated.

    Returns:
        A copy. A field under both names keeps both, and validation refuses the earlier one.
    """
    if not isinstance(document, dict):
        return document
    changed = dict(document)
    if isinstance(document.get("levels"), list):
        changed["levels"] = [_level(level) for level in document["levels"]]
    if isinstance(document.get("codings"), list):
        changed["codings"] = [_coding(coding) for coding in document["codings"]]
    return changed


def _level(level: Any) -> Any:
    if not isinstance(level, dict):
        return level
    renamed = _renamed(level, _LEVEL_NAMES)
    for name in ("classes", "objectness", "boxes", "sizes"):
        if name in renamed:
            renamed[name] = _output_field(renamed[name])
    return renamed


def _output_field(field: Any) -> Any:
    if isinstance(field, list):
        return [_output_field(each) for each in field]
    return _renamed(field, _FIELD_NAMES) if isinstance(field, dict) else field


def _coding(coding: Any) -> Any:
    if not isinstance(coding, dict):
        return coding
    renamed = _renamed(coding, _CODING_NAMES)
    for name, words in _CODING_VALUES.items():
        if isinstance(renamed.get(name), str):
            renamed[name] = words.get(renamed[name], renamed[name])
    return renamed


def _renamed(record: dict[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {names.get(name, name) if names.get(name) not in record else name: v for name, v in record.items()}
