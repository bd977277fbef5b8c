"""JSON from strangers: what Python would take beyond the standard, or silently drop, is refused."""

import json
from typing import Any


def parse_strict(data: bytes) -> object:
    """The document. Raises `ValueError` for text that is not JSON, NaN and infinities, and a name that
    appears twice in one object; `RecursionError` for nesting that is too deep.
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
