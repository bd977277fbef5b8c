"""The output of the plugin `native/count_blocks.c`: blocks, executions and missed lines between addresses.

`Symbols` are the functions of the program by address, as `llvm-nm` lists them.
"""

import bisect
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from pocketdet.errors import EngineError

Words = tuple[int, ...]
"""The instruction words of a block, in order."""


@dataclass(frozen=True)
class Block:
    """Instructions that run one after the other; `address` is where they begin."""

    address: int
    words: Words


@dataclass
class Segment:
    """What was executed from one watched address to the next.

    `reached` is the address it begins at, 0 for the beginning of the program. `counts` are executions by the
    index of the block. `lines` counts the lines of memory that missed in the caches.
    """

    reached: int
    counts: dict[int, int] = field(default_factory=dict)
    lines: int = 0


@dataclass
class Trace:
    """One run of a program."""

    blocks: list[Block]
    segments: list[Segment]


def parse_trace(lines: Iterable[str]) -> Trace:
    """Parse the output of the plugin.

    Args:
        lines: The lines of its file.

    Returns:
        The blocks by index, and the segments in the order of execution.

    Raises:
        EngineError: If a line is not understood or the end is missing.
    """
    blocks: list[Block] = []
    segments = [Segment(0)]
    for number, line in enumerate(lines, 1):
        kind, *words = line.split() or [""]
        try:
            if kind == "end":
                return Trace(blocks, segments)
            _PARSERS[kind](words, blocks, segments)
        except (KeyError, ValueError, IndexError) as error:
            raise EngineError(f"block counts, line {number}: {error!r} in {line[:60]!r}") from error
    raise EngineError(
        "block counts: the end is missing; the program or qemu was stopped, or the disk is full"
    )


def _block(words: list[str], blocks: list[Block], segments: list[Segment]) -> None:
    if int(words[0]) != len(blocks):
        raise ValueError(f"block {words[0]} after {len(blocks)} blocks")
    blocks.append(Block(int(words[1], 16), tuple(int(word, 16) for word in words[2:])))


def _count(words: list[str], blocks: list[Block], segments: list[Segment]) -> None:
    index, executions = map(int, words)
    if not 0 <= index < len(blocks):
        raise IndexError(f"block {index} of {len(blocks)} blocks")
    segments[-1].counts[index] = executions


def _lines(words: list[str], blocks: list[Block], segments: list[Segment]) -> None:
    (lines,) = words
    segments[-1].lines = int(lines)


def _reach(words: list[str], blocks: list[Block], segments: list[Segment]) -> None:
    (address,) = words
    segments.append(Segment(int(address, 16)))


_PARSERS = {"block": _block, "count": _count, "lines": _lines, "reach": _reach}


_LINE = re.compile(r"([0-9a-f]+) [tTwWiVu] (.+)")


@dataclass(frozen=True)
class Symbols:
    """Functions in the order of their addresses, with demangled names."""

    addresses: tuple[int, ...]
    names: tuple[str, ...]

    def at(self, address: int) -> str:
        """Return the function that an instruction belongs to, or "?" below the first."""
        index = bisect.bisect_right(self.addresses, address) - 1
        return self.names[index] if index >= 0 else "?"

    def address(self, prefix: str) -> int:
        """Return the address of the function whose name begins with `prefix`.

        Raises:
            EngineError: If none or several begin so.
        """
        found = {a for a, name in zip(self.addresses, self.names, strict=True) if name.startswith(prefix)}
        if len(found) != 1:
            raise EngineError(f"expected one function {prefix} in the program, found {len(found)}")
        return found.pop()


def parse_symbols(listing: str) -> Symbols:
    """Parse the output of `llvm-nm --demangle`; of several names of one address, the first stays."""
    found: dict[int, str] = {}
    for line in listing.splitlines():
        match = _LINE.fullmatch(line.strip())
        if match:
            found.setdefault(int(match[1], 16), match[2])
    return _in_order(found.items())


def _in_order(items: Iterable[tuple[int, str]]) -> Symbols:
    ordered = sorted(items)
    return Symbols(tuple(a for a, _ in ordered), tuple(name for _, name in ordered))


def short_name(function: str) -> str:
    """Shorten a demangled name for a table: without namespaces, arguments and template arguments."""
    plain, before = function.removesuffix(" const"), ""
    while plain != before:
        plain, before = re.sub(r"\[[^\[\]]*\]|\([^()]*\)|<[^<>]*>", "", plain), plain
    words = plain.removesuffix(" const").split()
    parts = (words[-1] if words else function).split("::")
    return "::".join(part for part in parts if part not in ("ncnn", "pocketdet", "std", "")) or function
