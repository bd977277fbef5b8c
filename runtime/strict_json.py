"""Strict parsing of untrusted JSON: rejects what Python accepts beyond the standard or silently drops."""

import json
from typing import Any


def parse_strict(data: bytes) -> object:
    """Parse a JSON document.

    Raises:
        ValueError: for invalid JSON, NaN, infinities and duplicate names in an object.
        RecursionError: for nesting that is too deep.
    """
    return json.loads(data, parse_constant=_refuse_constant, object_pairs_hook=_refuse_duplicates)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def _refuse_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"field {next(n for n in names if names.count(n) > 1)!r} appears twice")
    return record
