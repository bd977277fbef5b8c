"""A report as files: Markdown, CSV, pictures, and one page that holds them all."""

from collections.abc import Sequence
from pathlib import Path

from pocketdet.benchmarks.report.comparable import Entry, check_comparable
from pocketdet.benchmarks.report.html import to_html
from pocketdet.benchmarks.report.plots import write_plots
from pocketdet.benchmarks.report.tables import make_tables
from pocketdet.benchmarks.report.text import to_csv, to_markdown
from pocketdet.errors import UsageError
from pocketdet.io import atomic_write, scratch_folder

TITLE = "pocketdet benchmark"


def write_report(folder: Path, entries: Sequence[Entry]) -> list[Path]:
    """Write report.md, report.csv, report.html and the pictures into a folder; returns the files.

    Everything is made before the first file is put there; files of a former report are replaced.
    Raises `UsageError` for records that cannot be compared, if matplotlib is missing, or if a file cannot be
    written.
    """
    check_comparable(entries)
    tables = make_tables(entries)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with scratch_folder(folder) as made:
            pictures = write_plots(made, entries)
            texts = {
                "report.md": f"# {TITLE}\n\n{to_markdown(tables)}",
                "report.csv": to_csv(entries),
                "report.html": to_html(TITLE, tables, pictures),
            }
            for name, text in texts.items():
                atomic_write(made / name, text)
            return [
                path.replace(folder / path.name)
                for path in (*(made / name for name in texts), *pictures.values())
            ]
    except OSError as error:
        raise UsageError(f"{folder}: the report cannot be written: {error.strerror or error}") from error
