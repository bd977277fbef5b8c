"""`pocketdet report`: records of `pocketdet bench` as tables, plots and one page."""

import importlib.util
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from pocketdet.errors import UsageError

if TYPE_CHECKING:
    from pocketdet.benchmarks.report import Table

_NARROW: Final = 10  # characters of a column whose cells are short


def report(
    records: Annotated[
        list[Path], typer.Argument(metavar="RECORD", help="Records of pocketdet bench, or folders of them.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for the report.")] = Path("bench-report"),
) -> None:
    """Make ThunderNet's Table 9 from records: models by devices, with the paper's figures and parity.

    Writes Markdown, CSV, plots and one self-contained HTML page. Frames per second are shown for VALID runs
    on real devices only. Records that were measured in different ways (input size, threads, arithmetic, ncnn,
    the bundle of a name) are refused; the message names the difference. Of several runs of a bundle the
    latest VALID one is shown, with the times of the others below the table.

    Example: pocketdet report bench-records --out bench-report
    """
    if importlib.util.find_spec("matplotlib") is None:
        raise UsageError("a report needs matplotlib: pip install 'pocketdet[bench]'")

    from pocketdet.benchmarks.report import latest_runs, make_tables, read_entries, write_report

    entries = latest_runs(read_entries(records))
    files = write_report(out, entries)
    _print(make_tables(entries)[0], Console(highlight=False))
    for path in files:
        typer.echo(f"wrote {path}")


def _print(table_9: "Table", console: Console) -> None:
    """The first table of the report, a device below the other: a terminal is narrow."""
    from pocketdet.benchmarks.report.tables import DEVICE_COLUMNS

    console.print(Text(table_9.title, style="bold"), soft_wrap=True)
    for start in range(2, len(table_9.head), DEVICE_COLUMNS):
        columns = (0, 1, *range(start, min(start + DEVICE_COLUMNS, len(table_9.head))))
        shown = RichTable(box=None, padding=(0, 2, 0, 0))
        for i in columns:
            widest = max(len(row[i]) for row in table_9.rows)
            head = textwrap.fill(
                table_9.head[i], max(widest, _NARROW), break_long_words=False
            )  # a head is broken, a cell is not
            shown.add_column(Text(head), justify="right" if i else "left", overflow="fold", no_wrap=True)
        for row in table_9.rows:
            shown.add_row(*(Text(row[i]) for i in columns))
        console.print(shown)
    for note in table_9.notes:
        console.print(note, markup=False, soft_wrap=True)
