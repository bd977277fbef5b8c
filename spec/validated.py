"""Base class of configuration records."""

from collections.abc import Collection
from typing import ClassVar

from pydantic import ConfigDict

from pocketdet.errors import UsageError


class ValidatedConfig:
    """Parsed from JSON without coercion or unknown fields. Subclasses validate ranges on construction."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    def _within(self, low: float, high: float, *names: str) -> None:
        for name in names:
            value = getattr(self, name)
            for number in value if isinstance(value, tuple) else (value,):
                if not low <= number <= high:
                    label = f"{type(self).__name__}.{name}"
                    raise UsageError(f"{label} has the value {number}: expected {low:g} to {high:g}")

    def _counts(self, high: int, *names: str) -> None:
        for name in names:
            count = len(getattr(self, name))
            if not 1 <= count <= high:
                raise UsageError(f"{type(self).__name__}.{name} has {count} entries: expected 1 to {high}")

    def _one_of(self, name: str, choices: Collection[str]) -> None:
        if getattr(self, name) not in choices:
            label = f"{type(self).__name__}.{name}"
            raise UsageError(f"{label} is {getattr(self, name)!r}: expected one of {', '.join(choices)}")
