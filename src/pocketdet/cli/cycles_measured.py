"""Modelled cycles and measured milliseconds side by side, for `pocketdet cycles --measured`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pocketdet.cli.cycles_report import Clock
from pocketdet.errors import UsageError

if TYPE_CHECKING:
    from pocketdet.armmodel.modelled import Figures, Modelled
    from pocketdet.benchmarks.record import Record
    from pocketdet.runtime.bundle import Bundle


def read_measured(path: Path, bundle: "Bundle") -> "Record":
    """Read the record of a bundle whose layers were timed.

    Returns:
        The record; its `layers` are there.

    Raises:
        UsageError: If it is no such record, or of another bundle.
    """
    from pocketdet.benchmarks.record_io import read_record

    record = read_record(path)
    if record.bundle.digest != bundle.digest:
        raise UsageError(
            f"--measured {path}: expected a record of {bundle.manifest.name} {bundle.digest[:12]}, found "
            f"one of {record.bundle.name} {record.bundle.digest[:12]}; measure with: pocketdet bench --layers"
        )
    if record.layers is None:
        raise UsageError(
            f"--measured {path}: its layers were not timed; measure with: pocketdet bench --layers"
        )
    return record


def with_measured(document: dict[str, Any], record: "Record") -> dict[str, Any]:
    """Add the measured milliseconds to the JSON object of a model.

    Args:
        document: The object, as `record_of` makes it.
        record: A record of the same bundle with the times of layers.

    Returns:
        The object with `measured_on`, and `measured_ms` in each layer; `None` where nothing was measured.
    """
    times = _times(record)
    layers = [
        {**layer, "measured_ms": times.get((layer["stage"], layer["name"]))} for layer in document["layers"]
    ]
    return {**document, "measured_on": record.device.name, "layers": layers}


def _times(record: "Record") -> dict[tuple[str, str], float]:
    """Measured milliseconds by stage and ncnn's name of the layer."""
    assert record.layers is not None
    return {(layer.stage, layer.name): layer.milliseconds for layer in record.layers.layers}


def print_side_by_side(
    modelled: "Modelled", record: "Record", clocks: Sequence[Clock], top: int, console: Console
) -> None:
    """Print the stages, and the layers that are slowest in the measurement, with both figures.

    Args:
        modelled: One frame on one core.
        record: A record of the same bundle with the times of layers.
        clocks: All clocks that were asked for; those of the core give milliseconds.
        top: Rows of the table of layers.
        console: Where to print.
    """
    from pocketdet.benchmarks.layers import clock_cost
    from pocketdet.benchmarks.report.tables import stage_medians

    assert record.layers is not None
    of_core = [clock for clock in clocks if clock.core == modelled.core and clock.ghz]
    arithmetic = record.arithmetic
    console.print(
        f"measured on {record.device.name}, {arithmetic}, {record.created}: {record.verdict.label}",
        style="bold",
        markup=False,
        soft_wrap=True,
    )
    if modelled.precision != record.engine.precision_observed:
        console.print(
            f"modelled in {modelled.precision}, measured in {record.engine.precision_observed}: other work",
            style="yellow",
        )
    stages = stage_medians(record) if record.run else {}
    table = _table("stage", of_core)
    for stage in modelled.stages:
        _add_row(table, stage.name, stage.figures, stages.get(stage.name), of_core)
    console.print(table)
    times = _times(record)
    found = [(times.get((layer.stage, layer.facts.name)), layer) for layer in modelled.layers]
    table = _table("layer", of_core)
    for ms, layer in sorted(found, key=lambda item: -(item[0] or 0.0))[:top]:
        _add_row(table, layer.label, layer.figures, ms, of_core)
    console.print(table)
    console.print(f"Measured medians; {clock_cost(record.layers)}.", markup=False, soft_wrap=True)


def _table(first: str, clocks: Sequence[Clock]) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0))
    table.add_column(first, overflow="fold")
    names = ["M cycles, modelled", *(f"ms modelled, {clock.label}" for clock in clocks), "ms measured"]
    for name in names:
        table.add_column(name, justify="right", overflow="fold")
    return table


def _add_row(table: Table, name: str, figures: "Figures", ms: float | None, clocks: Sequence[Clock]) -> None:
    modelled = (f"{clock.milliseconds(figures):.3f}" for clock in clocks)
    measured = "-" if ms is None else f"{ms:.3f}"
    table.add_row(escape(name), f"{figures.cycles / 1e6:.3f}", *modelled, measured)
