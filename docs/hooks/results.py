"""The page results.md: a table of the records in benchmarks/results, models by devices, and a list of all.

Filters are in docs/results.js; without JavaScript everything is shown. A broken record ends the build.
"""

import re
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files, InclusionLevel

from pocketdet.armmodel.devices import find_devices
from pocketdet.benchmarks.record import Record
from pocketdet.benchmarks.registry import read_registry
from pocketdet.benchmarks.report.entries import Entry
from pocketdet.benchmarks.report.tables import parity, shown_rois
from pocketdet.errors import PocketdetError

ROOT = Path(__file__).resolve().parents[2]
REGISTRY = ROOT / "benchmarks" / "results"
CYCLES_PAGE = ROOT / "docs" / "explanation" / "arm-cycles.md"
CYCLES_LINK = "explanation/arm-cycles.html#table-9-of-the-thundernet-paper"
PAGE = "results.md"
(CLOCK,) = (device.ghz for device in find_devices(["855+"]))
MODELLED = f"modelled: Cortex-A76, {CLOCK} GHz"
# of table9.py: | SNet146, fp16 | M cycles of the Cortex-A76 | share of its limit | milliseconds | ...
_MODELLED_ROW = re.compile(r"^\| (SNet\d+), (\w+) \| ([\d.]+) \| \d+% \| ([\d.]+) \|", re.M)
_INTRO = """---
hide:
  - toc
---
# Measured speed

Records of `pocketdet bench`, sent in by those who measured them. A time is the median over the frames of one
run, image to boxes, one thread on one core; [the benchmark guide](guides/benchmark.md) has the protocol and
the rules of the verdict. Frames per second are given for VALID runs only. An INVALID run has the reason; its
time does not represent the device. Every number links to its record, which has every frame.
[Add a record](CONTRIBUTING.md#add-a-measurement) of your own device.
"""
_MODELLED_NOTE = """
The last column is not measured by anyone: cycles of a Cortex-A76 that `pocketdet cycles` models, and
milliseconds on the Snapdragon 855+, with their errors in
[modelled cycles](explanation/arm-cycles.md#table-9-of-the-thundernet-paper). SNet49 there is the trained
detector of this repository, the others have random weights and 80 classes.
"""
_FILTERS = ("model", "device", "arithmetic", "runner", "verdict")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the page and the records that it links to."""
    try:
        entries = read_registry(REGISTRY)
    except PocketdetError as error:
        raise PluginError(str(error)) from error
    for entry in entries:
        content = entry.path.read_text("utf-8")
        # included, although exclude_docs keeps JSON files out of the site
        record = File.generated(config, _link(entry), content=content, inclusion=InclusionLevel.INCLUDED)
        files.append(record)
    modelled = _modelled(CYCLES_PAGE.read_text("utf-8"))
    files.append(File.generated(config, PAGE, content="\n".join(_page(entries, modelled))))
    return files


def _page(entries: Sequence[Entry], modelled: dict[tuple[str, str], tuple[str, str]]) -> Iterator[str]:
    yield _INTRO
    yield "<div markdown='0' id='results'>"
    yield from _filters(entries)
    yield from _matrix(entries, modelled)
    yield "</div>"
    yield _MODELLED_NOTE
    yield "## All records\n"
    yield "<div markdown='0'>"
    yield from _list(entries)
    yield f"</div>\n\n<script src='{Path(PAGE).stem}.js'></script>"


def _filters(entries: Sequence[Entry]) -> Iterator[str]:
    yield "<form id='results-filters' hidden>"
    for name in _FILTERS:
        values = sorted({_attributes(entry.record)[name] for entry in entries})
        options = "".join(f"<option>{escape(value)}</option>" for value in values)
        yield f"<label>{name} <select name='{name}'><option value=''>all</option>{options}</select></label>"
    yield "<output id='results-count'></output></form>"


def _matrix(entries: Sequence[Entry], modelled: dict[tuple[str, str], tuple[str, str]]) -> Iterator[str]:
    devices = sorted({_attributes(entry.record)["device"] for entry in entries})
    head = ("model", "input", "arithmetic", *devices, MODELLED)
    yield f"<table id='results-matrix'><thead><tr>{_cells('th', map(escape, head))}</tr></thead><tbody>"
    rows: dict[tuple[str, str, str, str], list[Entry]] = {}
    for entry in entries:
        bundle = entry.record.bundle
        size = f"{bundle.input[0]}x{bundle.input[1]}"
        rows.setdefault((bundle.name, size, entry.record.arithmetic, bundle.architecture), []).append(entry)
    for (name, size, arithmetic, architecture), inside in rows.items():
        cells = [escape(name), size, arithmetic]
        for device in devices:
            here = [entry for entry in inside if _attributes(entry.record)["device"] == device]
            cells.append("".join(f"<div {_data(e)}>{_time(e)}</div>" for e in here))
        cycles = modelled.get((architecture, arithmetic))
        text = f"<a href='{CYCLES_LINK}'>{cycles[0]} M cycles, {cycles[1]} ms</a>" if cycles else ""
        cells.append(text if size == "320x320" else "")
        yield f"<tr>{_cells('td', cells)}</tr>"
    yield "</tbody></table>"


def _list(entries: Sequence[Entry]) -> Iterator[str]:
    head = ("model", "device", "arithmetic", "runner", "verdict", "RoIs", "median ms", "p90 ms", "fps")
    head += ("parity with PyTorch", "record")
    yield f"<table id='results-list'><thead><tr>{_cells('th', head)}</tr></thead><tbody>"
    for entry in entries:
        record, values = entry.record, _attributes(entry.record)
        summary = record.summary
        figures = (
            [f"{summary.median:.2f}", f"{summary.p90:.2f}", f"{summary.fps:.1f}" if summary.fps else ""]
            if summary
            else ["", "", ""]
        )
        linked = [_linked(entry, figure) if figure else "" for figure in figures]
        verdict = escape(str(record.verdict))
        marked = verdict if record.verdict.valid else f"<strong class='results-invalid'>{verdict}</strong>"
        cells = [escape(values[name]) for name in ("model", "device", "arithmetic", "runner")]
        cells += [marked, shown_rois(record), *linked, escape(parity(record))]
        cells.append(_linked(entry, record.created[:10]))
        yield f"<tr {_data(entry)}>{_cells('td', cells)}</tr>"
    yield "</tbody></table>"


def _time(entry: Entry) -> str:
    """One record in the table: its median and fps, or why it has none."""
    record = entry.record
    ms = f"{record.summary.median:.2f} ms" if record.summary else "not timed"
    if record.summary and record.summary.fps:
        return _linked(entry, f"{ms}, {record.summary.fps:.1f} fps")
    reasons = escape("; ".join(reason.sentence for reason in record.verdict.reasons), quote=True)
    return f"{_linked(entry, ms)} <strong class='results-invalid' title='{reasons}'>INVALID</strong>"


def _attributes(record: Record) -> dict[str, str]:
    """The values that a record is filtered by."""
    processor = record.engine.processor
    chip = record.device.soc if processor == "CPU" else processor
    name = record.device.name
    return {
        "model": record.bundle.name,
        "device": f"{name}, {chip}" if chip and chip not in name else name,
        "arithmetic": record.arithmetic,
        "runner": f"{record.engine.runner}, {record.engine.name} {record.engine.version}",
        "verdict": record.verdict.label,
    }


def _data(entry: Entry) -> str:
    values = _attributes(entry.record).items()
    return "data-record " + " ".join(f"data-{name}='{escape(value, quote=True)}'" for name, value in values)


def _cells(tag: str, cells: Sequence[str] | Iterator[str]) -> str:
    return "".join(f"<{tag}>{cell}</{tag}>" for cell in cells)


def _link(entry: Entry) -> str:
    return f"results/{entry.path.name}"


def _linked(entry: Entry, text: str) -> str:
    return f"<a href='{_link(entry)}'>{text}</a>"


def _modelled(page: str) -> dict[tuple[str, str], tuple[str, str]]:
    """Million cycles and milliseconds by architecture and arithmetic, from the table of the page."""
    rows = _MODELLED_ROW.findall(page)
    found = {
        (f"thundernet-{name.lower()}", arithmetic): (cycles, ms) for name, arithmetic, cycles, ms in rows
    }
    if not found:
        raise PluginError(f"{CYCLES_PAGE}: expected rows such as '| SNet146, fp16 | 41.3 | ...', found none")
    return found
