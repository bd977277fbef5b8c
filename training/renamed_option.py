"""Old names of options: they keep working, with a sentence on standard error."""

import argparse
import sys
from collections.abc import Sequence
from typing import Any


class _RenamedOption(argparse.Action):
    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        sys.stderr.write(f"{option_string} is deprecated: use {self.metavar}\n")
        setattr(namespace, self.dest, values)


def add_renamed(parser: argparse.ArgumentParser, old: str, new: str) -> None:
    """Accept an option of an integer under its old name too, without listing it in the help.

    Args:
        parser: The parser, which has the option `new`.
        old: The old name, with its dashes.
        new: The present name, with its dashes.
    """
    dest = new.lstrip("-").replace("-", "_")
    parser.add_argument(
        old,
        action=_RenamedOption,
        dest=dest,
        type=int,
        metavar=new,
        default=argparse.SUPPRESS,
        help=argparse.SUPPRESS,
    )
