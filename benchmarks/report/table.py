"""A table of a report, independent of the output format."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """A table of text cells: the first `left` columns are names, the others numbers; notes follow it."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left: int = 1
    notes: tuple[str, ...] = ()
