"""Functions of an ELF program by address, as `llvm-nm` lists them."""

import bisect
import re
from collections.abc import Iterable
from dataclasses import dataclass

from pocketdet.errors import EngineError

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
