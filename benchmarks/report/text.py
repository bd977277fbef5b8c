"""Tables as Markdown and the records as CSV."""

import csv
import io
from collections.abc import Sequence

from pocketdet.benchmarks.report.comparable import Entry
from pocketdet.benchmarks.report.paper import paper_device, paper_fps
from pocketdet.benchmarks.report.tables import Table, device_labels


def to_markdown(tables: Sequence[Table]) -> str:
    """All tables, each below its title."""
    return "\n".join(_markdown(table) for table in tables)


def _markdown(table: Table) -> str:
    rule = ["---" if i < table.left else "---:" for i in range(len(table.head))]
    lines = [f"## {_cell(table.title)}", ""]
    lines += ["| " + " | ".join(map(_cell, row)) + " |" for row in (table.head, tuple(rule), *table.rows)]
    for note in table.notes:
        lines += ["", _cell(note)]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    """Names come from strangers: nothing in them may end a cell or begin markup."""
    flat = " ".join(text.split())
    return "".join(f"\\{c}" if c in "\\|`*_<>[]" else c for c in flat)


def to_csv(entries: Sequence[Entry]) -> str:
    """One row a record: numbers in full, empty where there is none."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow((
        "model", "architecture", "mmacs", "device", "soc", "target", "engine", "processor", "precision",
        "valid", "quick", "fps", "fps_p90", "paper_device", "paper_fps", "median_ms", "p90_ms", "p99_ms",
        "mean_ms", "trimmed_mean_ms",
        "frames", "golden_ok", "reasons", "bundle_digest", "record",
    ))  # fmt: skip
    for entry, device in zip(entries, device_labels(entries), strict=True):
        r = entry.record
        s = None if entry.emulated else r.summary
        times = (s.fps, s.fps_p90) if s else (None, None)
        figures = (s.median, s.p90, s.p99, s.mean, s.trimmed_mean) if s else (None,) * 5
        writer.writerow((
            r.bundle.name, r.bundle.architecture, r.bundle.macs / 1e6, device, r.device.soc or "",
            r.target.kind, r.engine.name, r.engine.processor, r.arithmetic,
            r.verdict.valid, r.verdict.quick, *times,
            paper_device(r) or "", paper_fps(r.bundle, paper_device(r)), *figures,
            r.run.frames if r.run else 0, r.golden.ok, "; ".join(x.sentence for x in r.verdict.reasons),
            r.bundle.digest, entry.path.name,
        ))  # fmt: skip
    return text.getvalue()
