"""Tables of measured layers: the slowest of them, and all of them by type."""

from collections.abc import Sequence
from typing import Final

from pocketdet.benchmarks.layers import clock_cost, layer_label, times_by_type
from pocketdet.benchmarks.record import LayerRun, Record
from pocketdet.benchmarks.report.table import Table

SLOWEST: Final = 15


def layer_tables(records: Sequence[Record], devices: Sequence[str]) -> tuple[Table, Table]:
    """Make the tables of all records whose layers were timed on a processor that is not emulated.

    Args:
        records: The records.
        devices: The label of the device of each.

    Returns:
        The `SLOWEST` layers of each record, and its types of layers; without rows if no layers were timed.
    """
    slowest: list[tuple[str, ...]] = []
    types: list[tuple[str, ...]] = []
    notes: list[str] = []
    for record, device in zip(records, devices, strict=True):
        found = record.layers
        if found is None or record.emulated:
            continue
        names = (record.bundle.name, device)
        whole = sum(layer.milliseconds for layer in found.layers)
        slowest += [(*names, *row) for row in _slowest(found, whole)]
        types += [
            (*names, one.type, str(one.count), f"{one.milliseconds:.3f}", f"{one.milliseconds / whole:.1%}")
            for one in times_by_type(found)
        ]
        notes.append(
            f"{record.bundle.name} on {device}: {clock_cost(found)}; {sum(found.timed)} timed frames."
        )
    head = ("model", "device")
    return (
        Table(
            f"Measured milliseconds of layers, the {SLOWEST} slowest",
            (*head, "stage", "layer", "type", "median", "share of layers"),
            tuple(slowest),
            5,
            tuple(notes),
        ),
        Table(
            "Measured milliseconds of layers by type",
            (*head, "type", "layers", "sum of medians", "share of layers"),
            tuple(types),
            3,
        ),
    )


def _slowest(found: LayerRun, whole: float) -> list[tuple[str, ...]]:
    ordered = sorted(found.layers, key=lambda layer: -layer.milliseconds)[:SLOWEST]
    return [
        (
            layer.stage,
            layer_label(layer.type, layer.name, layer.module),
            layer.type,
            f"{layer.milliseconds:.3f}",
            f"{layer.milliseconds / whole:.1%}",
        )
        for layer in ordered
    ]
