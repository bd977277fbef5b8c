"""Phones and their chips (`phones.toml`): for predictions by the name of a phone, and for names of chips."""

import functools
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from pocketdet.benchmarks.predict.coefficients import tokens

SHIPPED: Final = Path(__file__).with_name("phones.toml")

Name = Annotated[str, StringConstraints(min_length=1)]
Url = Annotated[str, StringConstraints(pattern=r"^https://\S+$")]


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Chip(_Row):
    """A chip: `core` is its fastest core, `codes` are the names that Android has for it.

    `ghz` is the highest clock of that core, from general knowledge, where LLVM models it and no run of it is
    published. `source` is where all of it can be checked.
    """

    name: Name
    core: Name
    ghz: Annotated[float, Field(gt=0)] | None = None
    codes: tuple[Name, ...]
    source: Url


class PhoneRow(_Row):
    """Phones with the same chip, or with one of several by region."""

    names: Annotated[tuple[Name, ...], Field(min_length=1)]
    chips: Annotated[tuple[Name, ...], Field(min_length=1)]
    source: Url


@dataclass(frozen=True)
class Phone:
    """A phone with one of its chips; `only` is whether it has this one in every region."""

    name: str
    chip: Chip
    only: bool


class Phones(_Row):
    """The content of the file."""

    chip: tuple[Chip, ...]
    phone: tuple[PhoneRow, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all phones."""
        return tuple(name for row in self.phone for name in row.names)

    @model_validator(mode="after")
    def _names_agree(self) -> Self:
        for what, names in (
            ("chip", [chip.name for chip in self.chip]),
            ("code", [code for chip in self.chip for code in chip.codes]),
            ("phone", self.names),
        ):
            if len(set(names)) < len(names):
                raise ValueError(f"a {what} is listed twice")
        unknown = {name for row in self.phone for name in row.chips} - {chip.name for chip in self.chip}
        if unknown:
            raise ValueError(f"unknown chips: {', '.join(sorted(unknown))}")
        return self

    def find(self, query: str) -> tuple[Phone, ...]:
        """Find phones by words of their names.

        Args:
            query: Words that a name must contain, such as "Pixel 8"; none find every phone.

        Returns:
            One entry for each chip of each row: the first phone of the row that matches.
        """
        wanted, chips = tokens(query), {chip.name: chip for chip in self.chip}
        found = []
        for row in self.phone:
            name = next((name for name in row.names if wanted <= tokens(name)), None)
            if name is not None:
                found += [Phone(name, chips[chip], len(row.chips) == 1) for chip in row.chips]
        return tuple(found)

    def chip_of(self, code: str) -> str | None:
        """Return the name of a chip by a value of ro.board.platform or ro.soc.model; `None` if unknown."""
        return next((chip.name for chip in self.chip if code.lower() in chip.codes), None)


@functools.cache
def load_phones() -> Phones:
    """Read the table that ships with the package."""
    return Phones.model_validate(tomllib.loads(SHIPPED.read_text(encoding="utf-8")))
