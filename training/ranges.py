"""Numbers in a range: declared at the field, checked when a record is made, printed in the documentation."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, get_args, get_type_hints

from pydantic import ConfigDict, GetJsonSchemaHandler
from pydantic_core import CoreSchema


@dataclass(frozen=True)
class Range:
    """Metadata of an `Annotated` number: the lowest and the highest value."""

    low: float
    high: float

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {**handler(schema), "minimum": self.low, "maximum": self.high}


class RangeChecked:
    """No unknown fields; `ValueError` for a number out of its `Range`, which the reader of the file names.

    The text below a field is its description in the documentation and in recipes.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    def __post_init__(self) -> None:
        for name, limits in _ranges(type(self)).items():
            value = getattr(self, name)
            if not limits.low <= value <= limits.high:
                raise ValueError(f"{name} is {value}: expected {limits.low:g} to {limits.high:g}")


def _ranges(record: type) -> Mapping[str, Range]:
    hints = get_type_hints(record, include_extras=True)
    found = ((name, part) for name, hint in hints.items() for part in get_args(hint)[1:])
    return {name: part for name, part in found if isinstance(part, Range)}
