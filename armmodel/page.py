"""Write what a command computes into a page of the documentation, between two comments."""

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from pocketdet.errors import UsageError, error_exit_code
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


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown, a line per row."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def table_parser(doc: str | None, section: str) -> argparse.ArgumentParser:
    """The options of a program that models detectors for a table: where bundles are kept, and the page."""
    parser = argparse.ArgumentParser(description=(doc or "").partition("\n")[0])
    parser.add_argument("--bundles", type=Path, required=True, help="folder that keeps the bundles")
    parser.add_argument("--page", type=Path, help=f'Markdown file with a section "{section}" to write')
    return parser


@error_exit_code
def write_table(page: Path | None, section: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> int:
    """Write a table into a section of a page, or to standard output without a page.

    Each row goes to standard error as soon as it is there.

    Returns:
        The exit code; a `PocketdetError` is written as one sentence.
    """
    found: list[Sequence[str]] = []
    for row in rows:
        found.append(row)
        sys.stderr.write(" | ".join(row) + "\n")
    text = markdown_table(head, found)
    if page:
        write_section(page, section, text)
    else:
        sys.stdout.write(text + "\n")
    return 0
