"""The base of the tables of a training configuration."""

from typing import ClassVar

from pydantic import ConfigDict


class Ranged:
    """No unknown fields; `ValueError` for a number out of its range, which the reader of the file names."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    def _range(self, low: float, high: float, *names: str) -> None:
        for name in names:
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"{name} is {value}: expected {low:g} to {high:g}")
