"""The report as one HTML page that needs nothing else: tables, and pictures within it."""

import base64
import html
from collections.abc import Mapping, Sequence
from pathlib import Path

from pocketdet.benchmarks.report.tables import Table

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


def to_html(title: str, tables: Sequence[Table], pictures: Mapping[str, Path]) -> str:
    """The page. `pictures`: PNG files by title. The first table comes before them, the others after."""
    parts = [_table(table) for table in tables]
    shown = [_picture(name, path) for name, path in pictures.items()]
    name = html.escape(title)
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{name}</title><style>{_STYLE}</style>"
    )
    body = "\n".join([f"<h1>{name}</h1>", *parts[:1], *shown, *parts[1:]])
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n{body}\n</body></html>\n'


def _table(table: Table) -> str:
    def row(cells: Sequence[str], tag: str) -> str:
        made = "".join(_cell(text, tag, i < table.left) for i, text in enumerate(cells))
        return f"<tr>{made}</tr>"

    rows = "\n".join(row(cells, "td") for cells in table.rows)
    notes = "\n".join(f'<p class="note">{html.escape(note)}</p>' for note in table.notes)
    head = f"<thead>{row(table.head, 'th')}</thead>"
    whole = f'<div class="wide"><table>{head}<tbody>\n{rows}\n</tbody></table></div>'
    return f"<h2>{html.escape(table.title)}</h2>\n{whole}\n{notes}"


def _cell(text: str, tag: str, is_name: bool) -> str:
    classes = [*(["name"] if is_name else []), *(["invalid"] if text.startswith("INVALID") else [])]
    marked = f' class="{" ".join(classes)}"' if classes else ""
    return f"<{tag}{marked}>{html.escape(text)}</{tag}>"


def _picture(title: str, path: Path) -> str:
    data = base64.b64encode(path.read_bytes()).decode()
    name = html.escape(title)
    return f'<h2>{name}</h2>\n<img alt="{name}" src="data:image/png;base64,{data}">'
