"""Write the table and the plot of the zoo from the figures beside its cards and the registry of records.

    python -m pocketdet.armmodel.zoo_page

It writes the section "zoo" of README.md and of docs/guides/zoo.md, and docs/images/zoo.png. Run
`python -m pocketdet.armmodel.zoo_figures` first where a detector has no figures.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pocketdet.armmodel.page import markdown_table, write_section
from pocketdet.benchmarks.record import Record
from pocketdet.benchmarks.registry import read_registry
from pocketdet.errors import UsageError, error_exit_code
from pocketdet.evaluation.figures import COLOURS, INK, MARKS, MUTED, WIDTH, drawn, plain_axes
from pocketdet.models.zoo import zoo_names
from pocketdet.models.zoo.figures import PRECISIONS, Measured, Precision, ZooFigures, read_figures

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROOT: Final = Path(__file__).resolve().parents[1]  # of the checkout; the pages are not in a wheel
SECTION: Final = "zoo"
PAGES: Final = (  # each with the ways from there to the root and to the plot
    ("README.md", "", "docs/images/zoo.png"),
    ("docs/guides/zoo.md", "../../", "../images/zoo.png"),
)
BIG, LITTLE = "cortex-a76", "cortex-a55"
HEIGHT: Final = 420
_ABOUT_PLOT: Final = "AP against megabytes, modelled and measured milliseconds, a line for each detector"
_HEAD: Final = (
    "weights",
    "precision",
    "AP",
    "AP50",
    "MB",
    "MACs",
    "ms, Cortex-A76, modelled",
    "ms, Cortex-A55, modelled",
    "ms, x86, measured",
    "card",
)


@dataclass(frozen=True)
class Row:
    """One detector in one precision. Costs are None where they are not known."""

    name: str
    precision: Precision
    accuracy: Measured | None
    macs: int
    big_ms: float | None
    little_ms: float | None
    measured: Record | None

    @property
    def measured_ms(self) -> float | None:
        """The median of the record."""
        return self.measured.summary.median if self.measured and self.measured.summary else None

    @property
    def megabytes(self) -> float | None:
        """Of the network files."""
        return self.accuracy.bytes / 1e6 if self.accuracy else None

    def cells(self, folder: str) -> list[str]:
        """The row of the table on a page; `folder` leads from there to the root."""
        found = self.accuracy
        return [
            f"`{self.name}`",
            self.precision,
            f"{100 * found.ap:.1f}" if found else "-",
            f"{100 * found.ap50:.1f}" if found else "-",
            f"{self.megabytes:.1f}" if found else "-",
            f"{self.macs / 1e6:,.0f} M",
            *("-" if ms is None else f"{ms:.1f}" for ms in (self.big_ms, self.little_ms, self.measured_ms)),
            f"[card]({folder}models/zoo/{self.name}.md)",
        ]


def zoo_rows(figures: dict[str, ZooFigures], records: Sequence[Record]) -> list[Row]:
    """The rows of all detectors in all precisions: by MACs, then by precision.

    Args:
        figures: by name.
        records: measured on x86, the later ones last.
    """
    return [
        Row(
            name,
            precision,
            found.accuracy(precision),
            found.macs,
            found.milliseconds(BIG, precision),
            found.milliseconds(LITTLE, precision),
            _record_of(name, precision, records),
        )
        for name, found in sorted(figures.items(), key=lambda item: item[1].macs)
        for precision in PRECISIONS
    ]


def x86_records(folder: Path) -> list[Record]:
    """The VALID records of a registry of one thread on x86-64, by time."""
    records = [entry.record for entry in read_registry(folder)]
    chosen = [
        record
        for record in records
        if record.device.architecture == "x86_64" and record.verdict.valid and record.engine.threads == 1
    ]
    return sorted(chosen, key=lambda record: record.created)


def _record_of(name: str, precision: Precision, records: Sequence[Record]) -> Record | None:
    """The last record of a bundle of that name, the name that its weights have in the zoo."""
    own = [r for r in records if r.bundle.name == name and r.bundle.weight_storage == precision]
    return own[-1] if own else None


def draw(path: Path, rows: Sequence[Row], data: str) -> None:
    """Draw AP against size, against modelled and against measured time.

    A detector has a colour and a line, a precision the filling of its marks. The costs have a logarithmic
    axis, since those of one-stage detectors are many times those of ThunderNets.

    Args:
        path: The image to write.
        rows: At least one.
        data: What AP was measured on.

    Raises:
        UsageError: If matplotlib is missing, or the file cannot be written.
    """
    panels: dict[str, list[float | None]] = {
        "megabytes of network files": [row.megabytes for row in rows],
        "ms, Cortex-A76, modelled": [row.big_ms for row in rows],
        "ms, x86, measured": [row.measured_ms for row in rows],
    }
    with drawn(path, HEIGHT) as figure:
        title = f"Average precision of the zoo on {data}"
        figure.text(24 / WIDTH, 1 - 30 / HEIGHT, title, size=13, color=INK)
        for number, (label, costs) in enumerate(panels.items()):
            box = ((70 + 385 * number) / WIDTH, 108 / HEIGHT, 320 / WIDTH, (HEIGHT - 108 - 56) / HEIGHT)
            axes = figure.add_axes(box)
            _draw_panel(axes, list(zip(rows, costs, strict=True)))
            axes.set_xlabel(label)
            axes.set_ylabel("" if number else "AP, percent")
        handles, labels = figure.axes[0].get_legend_handles_labels()
        place = (60 / WIDTH, 22 / HEIGHT)
        figure.legend(handles, labels, loc="lower left", bbox_to_anchor=place, ncols=4, frameon=False)
        note = "one thread, image to boxes; marks: full fp32, half fp16, empty int8"
        figure.text(24 / WIDTH, 8 / HEIGHT, note, size=8, color=MUTED)


def _draw_panel(axes: "Axes", points: "Sequence[tuple[Row, float | None]]") -> None:
    from matplotlib.ticker import LogLocator

    plain_axes(axes)
    for number, name in enumerate(dict.fromkeys(row.name for row, _ in points)):
        own = [(cost, row) for row, cost in points if row.name == name and row.accuracy and cost]
        colour, mark = COLOURS[number % len(COLOURS)], MARKS[number % len(MARKS)]
        across, up = [cost for cost, _ in own], [100 * row.accuracy.ap for _, row in own if row.accuracy]
        axes.plot(across, up, color=colour, linewidth=0.8)
        for cost, ap, (_, row) in zip(across, up, own, strict=True):
            filling = "left" if row.precision == "fp16" else "full"
            face = "white" if row.precision == "int8" else colour
            axes.plot(
                [cost],
                [ap],
                mark,
                color=colour,
                markersize=7,
                fillstyle=filling,
                markerfacecolor=face,
                markerfacecoloralt="white",
            )
        axes.plot([], [], f"{mark}-", color=colour, markersize=7, linewidth=0.8, label=name)
    aps = [100 * row.accuracy.ap for row, _ in points if row.accuracy]
    axes.set_ylim(min(aps) - 2, max(aps) + 2)  # a point of AP is seen; this is no bar that starts at 0
    axes.set_xscale("log", subs=())
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    known = [cost for _, cost in points if cost] or [1.0]
    axes.set_xlim(min(known) / 1.3, max(known) * 1.3)


@error_exit_code
def main(root: Path = ROOT) -> int:
    """Write the pages and the plot of a checkout.

    Returns:
        The exit code; a `PocketdetError` is written as one sentence.
    """
    every = {name: read_figures(name) for name in zoo_names()}
    figures = {name: found for name, found in every.items() if found}
    if not figures:
        raise UsageError(
            "no detector of the zoo has figures: run python -m pocketdet.armmodel.zoo_figures first"
        )
    records = x86_records(root / "benchmarks" / "results")
    rows = zoo_rows(figures, records)
    for page, folder, plot in PAGES:
        precisions: Sequence[Precision] = PRECISIONS if folder else PRECISIONS[:1]
        table = markdown_table(_HEAD, [row.cells(folder) for row in rows if row.precision in precisions])
        parts = (table, _note(figures, precisions, records), f"![{_ABOUT_PLOT}]({plot})")
        write_section(root / page, SECTION, "\n\n".join(parts))
    draw(root / "docs" / "images" / "zoo.png", rows, next(iter(figures.values())).data)
    return 0


def _note(figures: dict[str, ZooFigures], precisions: Sequence[Precision], records: Sequence[Record]) -> str:
    data = ", ".join(dict.fromkeys(found.data for found in figures.values()))
    devices = dict.fromkeys(row.device for found in figures.values() for row in found.modelled)
    measured = dict.fromkeys(record.device.name for record in records)
    about = (
        f"AP in percent in ncnn, {data}. Modelled times: {' and '.join(devices)}, fp32 rows in fp32 and the "
        f"others in fp16 arithmetic. Measured times: {', '.join(measured)} virtual machine, AVX2. One "
        "thread, from image to boxes."
    )
    missing = [
        f"`{name}`, {precision}: {reason}."
        for name, found in figures.items()
        for precision in precisions
        if (reason := found.why_missing(precision))
    ]
    missing += [f"`{name}`: times not modelled yet." for name, found in figures.items() if not found.modelled]
    return "\n\n".join([about, " ".join(missing)]) if missing else about


if __name__ == "__main__":
    sys.exit(main())
