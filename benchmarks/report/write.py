"""Write a report as files: Markdown, CSV, plots, and one HTML page with all of them."""

import base64
import csv
import html
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from pocketdet.benchmarks.report.entries import Entry, check_comparable
from pocketdet.benchmarks.report.plots import write_plots
from pocketdet.benchmarks.report.tables import Table, device_labels, make_tables, paper_device, paper_fps
from pocketdet.benchmarks.verdict import median_rois
from pocketdet.errors import UsageError
from pocketdet.io import atomic_write, os_errors, scratch_folder

TITLE = "pocketdet benchmark"
_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; color: #1b1f24; background: #fff; margin: 2rem auto;
  max-width: 1240px; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .7rem; border-bottom: 1px solid #d5dae0; text-align: right; white-space: nowrap; }
th { font-weight: 600; vertical-align: bottom; } .name { text-align: left; }
.invalid { color: #b3261e; font-weight: 600; } p.note { color: #5c6670; max-width: 72rem; }
img { max-width: 100%; height: auto; }
"""


def write_report(folder: Path, entries: Sequence[Entry]) -> list[Path]:
    """Write report.md, report.csv, report.html and the plots.

    All files are made before the first one is moved into the folder; files of a former report are replaced.

    Args:
        folder: Folder of the report; it is made if it does not exist.
        entries: The records.

    Raises:
        UsageError: If the records cannot be compared, matplotlib is missing, or a file cannot be written.
    """
    check_comparable(entries)
    tables = make_tables(entries)
    with os_errors(UsageError, f"{folder}: the report cannot be written"):
        folder.mkdir(parents=True, exist_ok=True)
        with scratch_folder(folder) as scratch:
            plots = write_plots(scratch, entries)
            texts = {
                "report.md": f"# {TITLE}\n\n{to_markdown(tables)}",
                "report.csv": to_csv(entries),
                "report.html": to_html(TITLE, tables, plots),
            }
            for name, text in texts.items():
                atomic_write(scratch / name, text)
            return [
                path.replace(folder / path.name)
                for path in (*(scratch / name for name in texts), *plots.values())
            ]


def to_markdown(tables: Sequence[Table]) -> str:
    """Format tables as Markdown."""
    return "\n".join(_markdown_table(table) for table in tables)


def _markdown_table(table: Table) -> str:
    rule = ["---" if i < table.left else "---:" for i in range(len(table.head))]
    lines = [f"## {_markdown_cell(table.title)}", ""]
    lines += [
        "| " + " | ".join(map(_markdown_cell, row)) + " |" for row in (table.head, tuple(rule), *table.rows)
    ]
    for note in table.notes:
        lines += ["", _markdown_cell(note)]
    return "\n".join(lines) + "\n"


def _markdown_cell(text: str) -> str:
    """Escape a cell: names are untrusted, and nothing in them may end a cell or begin markup."""
    flat = " ".join(text.split())
    return "".join(f"\\{c}" if c in "\\|`*_<>[]" else c for c in flat)


def to_csv(entries: Sequence[Entry]) -> str:
    """Format records as CSV.

    Returns:
        One row per record, numbers with all digits, empty if there is none.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow((
        "model", "architecture", "mmacs", "device", "soc", "target", "engine", "processor", "precision",
        "valid", "quick", "fps", "fps_p90", "rois", "rois_kept", "paper_device", "paper_fps",
        "median_ms", "p90_ms", "p99_ms", "mean_ms", "trimmed_mean_ms",
        "first_frame_ms", "load_ms", "frames", "golden_ok", "reasons", "bundle_digest", "record",
    ))  # fmt: skip
    for entry, device in zip(entries, device_labels(entries), strict=True):
        r = entry.record
        s = None if entry.record.emulated else r.summary
        times = (s.fps, s.fps_p90) if s else (None, None)
        figures = (s.median, s.p90, s.p99, s.mean, s.trimmed_mean) if s else (None,) * 5
        starts = (r.run.first_frame_ms, r.run.load_ms) if r.run and s else (None, None)
        writer.writerow((
            r.bundle.name, r.bundle.architecture, r.bundle.macs / 1e6, device, r.device.soc or "",
            r.target.kind, r.engine.name, r.engine.processor, r.arithmetic,
            r.verdict.valid, r.verdict.quick, *times, median_rois(r.run) if r.run else "", r.bundle.rois,
            paper_device(r) or "", paper_fps(r.bundle, paper_device(r)), *figures,
            *starts, r.run.frames if r.run else 0, r.golden.ok,
            "; ".join(x.sentence for x in r.verdict.reasons), r.bundle.digest, entry.path.name,
        ))  # fmt: skip
    return text.getvalue()


def to_html(title: str, tables: Sequence[Table], plots: Mapping[str, Path]) -> str:
    """Make one HTML page that needs no other file.

    Args:
        title: Title of the page.
        tables: The tables; the first comes before the plots, the others after them.
        plots: PNG files by title.

    Returns:
        The page, with the plots as data URLs.
    """
    parts = [_html_table(table) for table in tables]
    shown = [_html_plot(name, path) for name, path in plots.items()]
    name = html.escape(title)
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{name}</title><style>{_STYLE}</style>"
    )
    body = "\n".join([f"<h1>{name}</h1>", *parts[:1], *shown, *parts[1:]])
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n{body}\n</body></html>\n'


def _html_table(table: Table) -> str:
    def row(cells: Sequence[str], tag: str) -> str:
        cells_html = "".join(_html_cell(text, tag, i < table.left) for i, text in enumerate(cells))
        return f"<tr>{cells_html}</tr>"

    rows = "\n".join(row(cells, "td") for cells in table.rows)
    notes = "\n".join(f'<p class="note">{html.escape(note)}</p>' for note in table.notes)
    head = f"<thead>{row(table.head, 'th')}</thead>"
    whole = f'<div class="wide"><table>{head}<tbody>\n{rows}\n</tbody></table></div>'
    return f"<h2>{html.escape(table.title)}</h2>\n{whole}\n{notes}"


def _html_cell(text: str, tag: str, is_name: bool) -> str:
    classes = [*(["name"] if is_name else []), *(["invalid"] if text.startswith("INVALID") else [])]
    marked = f' class="{" ".join(classes)}"' if classes else ""
    return f"<{tag}{marked}>{html.escape(text)}</{tag}>"


def _html_plot(title: str, path: Path) -> str:
    data = base64.b64encode(path.read_bytes()).decode()
    name = html.escape(title)
    return f'<h2>{name}</h2>\n<img alt="{name}" src="data:image/png;base64,{data}">'
