"""Write what a command computes into a page of the documentation, between two comments."""

import sys
from collections.abc import Sequence
from pathlib import Path

from pocketdet.errors import UsageError
from pocketdet.io import atomic_write


def write_section(page: Path, name: str, text: str) -> None:
    """Replace what stands between `<!-- NAME -->` and `<!-- end of NAME -->`.

    Args:
        page: A Markdown file with both comments, once each.
        name: The name of the section.
        text: What it becomes, in Markdown.

    Raises:
        UsageError: If the page cannot be read or written, or lacks a comment.
    """
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    try:
        before, found, rest = page.read_text(encoding="utf-8").partition(begin)
    except OSError as error:
        raise UsageError(f"{page}: cannot be read: {error.strerror or error}") from error
    _, found_end, after = rest.partition(end)
    if not found or not found_end:
        raise UsageError(f"{page}: expected the comments {begin} and {end}, found no such section")
    atomic_write(page, f"{before}{begin}\n{text.strip()}\n{end}{after}")


def write_or_print(page: Path | None, name: str, text: str) -> None:
    """Write a section of a page as `write_section` does, or to standard output without a page."""
    if page:
        write_section(page, name, text)
    else:
        sys.stdout.write(text + "\n")


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown, a line per row."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
