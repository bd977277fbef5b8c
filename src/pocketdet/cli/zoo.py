"""`pocketdet zoo`: the trained weights that come with the project."""

import json
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from pocketdet.models.zoo.figures import Precision, ZooFigures

CORES = ("cortex-a76", "cortex-a55")  # of the columns
HEAD = ("classes", "AP", "AP50", "MACs", "MB", "ms, A76", "ms, A55")


def zoo(
    precision: Annotated[
        Literal["fp32", "fp16", "int8"], typer.Option(help="Precision of accuracy, size and times.")
    ] = "fp16",
    as_json: Annotated[bool, typer.Option("--json", help="Print all figures as JSON.")] = False,
) -> None:
    """List the trained weights that come with pocketdet, with their accuracy, size and modelled times.

    Each name is accepted wherever a command takes weights: `pocketdet export NAME`, `val NAME`, `demo
    --weights NAME`. The weights are files of the package, nothing is downloaded.

    Example: pocketdet zoo --precision fp32
    """
    from pocketdet.models.zoo import zoo_names
    from pocketdet.models.zoo.figures import read_figures

    every = {name: read_figures(name) for name in zoo_names()}
    if as_json:
        records = [
            {"name": name, "figures": found.model_dump(mode="json") if found else None}
            for name, found in every.items()
        ]
        typer.echo(json.dumps(records, indent=2))
        return
    console = Console(highlight=False)
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("name", no_wrap=True)
    for column in HEAD:
        table.add_column(column, justify="right", no_wrap=True)
    for name, found in every.items():
        cells = _cells(found, precision) if found else ["-"] * len(HEAD)
        table.add_row(name, *cells)
    console.print(table)
    for line in _notes(every, precision):
        console.print(line, markup=False)


def _cells(found: "ZooFigures", precision: "Precision") -> list[str]:
    row = found.accuracy(precision)
    times = (found.milliseconds(core, precision) for core in CORES)
    return [
        str(found.classes),
        f"{100 * row.ap:.1f}" if row else "-",
        f"{100 * row.ap50:.1f}" if row else "-",
        f"{found.macs / 1e6:,.0f} M",
        f"{row.bytes / 1e6:.1f}" if row else "-",
        *("-" if time is None else f"{time:.1f}" for time in times),
    ]


def _notes(every: "dict[str, ZooFigures | None]", precision: "Precision") -> list[str]:
    """What the columns mean."""
    known = [found for found in every.values() if found]
    devices = dict.fromkeys(
        f"{row.core} of the {row.device}" for one in known for row in one.modelled if row.core in CORES
    )
    lines = [
        f"object detection; AP in percent, ncnn {precision}, {words}"
        for words in dict.fromkeys(o.data for o in known)
    ]
    if devices:
        lines.append(f"ms: modelled, not measured: {', '.join(devices)}; one thread, image to boxes")
    for name, found in every.items():
        reason = found.why_missing(precision) if found else "not measured yet"
        lines += [f"{name}, {precision}: {reason}"] if reason else []
    return lines
