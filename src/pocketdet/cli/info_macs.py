"""`pocketdet info --macs` and `--ablation`: the cost of the detectors, beside the figures of their papers."""

import json
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.table import Table

from pocketdet.cli.arguments import require_torch

if TYPE_CHECKING:
    from pocketdet.models.counting import MacRow, OneStageCounts


def print_macs(arch: str | None, console: Console, *, as_json: bool) -> None:
    """Print all architectures or one, as tables or as JSON. Raises `UsageError` if it is unknown."""
    require_torch("--macs")
    from pocketdet.models.build import ARCHITECTURES, ONE_STAGE, unknown_architecture
    from pocketdet.models.counting import PAPER_COUNTS, count_one_stage, mac_table

    known = (*ARCHITECTURES, *ONE_STAGE)
    if arch is not None and arch not in known:
        raise unknown_architecture(arch, known)
    two_stage = [row for row in mac_table() if arch in (None, row.arch)] if arch not in ONE_STAGE else []
    one_stage = [count_one_stage(row) for row in PAPER_COUNTS if arch in (None, row.arch)]
    if as_json:
        records = [*map(_two_stage_record, two_stage), *map(_one_stage_record, one_stage)]
        typer.echo(json.dumps(records, indent=2))
        return
    if two_stage:
        console.print(_two_stage_table(two_stage))
    if one_stage:
        console.print(_one_stage_table(one_stage))


def _two_stage_record(row: "MacRow") -> dict[str, Any]:
    return {
        "arch": row.arch,
        "data_set": row.data_set,
        "macs": row.cost.macs,
        "total_macs": row.cost.total,
        "paper_mflops": row.paper,
        "difference": row.difference,
        "parameters": row.cost.parameters,
    }


def _one_stage_record(row: "OneStageCounts") -> dict[str, Any]:
    return {
        "arch": row.paper.arch,
        "input": row.paper.side,
        "classes": row.paper.num_classes,
        "total_macs": row.macs,
        "paper_gflops": row.paper.gmacs,
        "parameters": row.parameters,
        "paper_parameters_in_millions": row.paper.parameters,
        "boxes": row.boxes,
        "paper_boxes": row.paper.boxes,
    }


def _table(title: str, words: tuple[str, ...], numbers: tuple[str, ...]) -> Table:
    table = Table(title=title, title_justify="left", box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for column in words:
        table.add_column(column, no_wrap=True)
    for column in numbers:
        table.add_column(column, justify="right", no_wrap=True)
    return table


def _two_stage_table(rows: "list[MacRow]") -> Table:
    title = "million multiply-accumulates at 320 x 320, 200 RoIs (the paper writes MFLOPs)"
    numbers = ("backbone", "RPN", "head", "total", "paper", "differs", "params")
    table = _table(title, ("architecture", "for"), numbers)
    for row in rows:
        parts = (f"{row.cost.macs[part] / 1e6:.1f}" for part in ("backbone", "rpn", "head"))
        total = f"[bold]{row.mmacs:.1f}[/]"
        tail = (str(row.paper), f"{row.difference:+.1%}", f"{row.cost.parameters / 1e6:.2f} M")
        table.add_row(row.arch, row.data_set, *parts, total, *tail)
    return table


def _one_stage_table(rows: "list[OneStageCounts]") -> Table:
    title = "one-stage detectors at inference, billion MACs of the convolutions"
    numbers = ("input", "GMACs", "paper", "params", "paper", "boxes", "paper")
    table = _table(title, ("architecture", "for"), numbers)
    for row in rows:
        table.add_row(
            row.paper.arch,
            "COCO" if row.paper.num_classes == 80 else "VOC",
            str(row.paper.side),
            f"[bold]{row.macs / 1e9:.1f}[/]",
            str(row.paper.gmacs or ""),
            f"{row.parameters / 1e6:.2f} M",
            row.paper.parameters or "",
            f"{row.boxes:,}",
            f"{row.paper.boxes:,}" if row.paper.boxes else "",
        )
    return table


def print_ablation(console: Console, *, as_json: bool) -> None:
    """Print the rows of ThunderNet's Table 7 as a table or as JSON. Raises `UsageError` without PyTorch."""
    require_torch("--ablation")
    from pocketdet.models.counting import ablation_table

    rows = ablation_table()
    ours_whole, paper_whole = rows[-1][1].total, rows[-1][0].paper
    if as_json:
        records = [
            {"row": v.row, "has": v.has, "total_macs": cost.total, "paper_mflops": v.paper}
            for v, cost in rows
        ]
        typer.echo(json.dumps(records, indent=2))
        return
    title = "Table 7: million multiply-accumulates, SNet146, 80 classes; +/- is against the last row"
    table = Table(title=title, title_justify="left", box=None, padding=(0, 2, 0, 0))
    for column in ("row", "has"):
        table.add_column(column, no_wrap=True)
    for column in ("ours", "+/-", "paper", "+/-"):
        table.add_column(column, justify="right", no_wrap=True)
    for variant, cost in rows:
        ours = f"{cost.total / 1e6:.1f}", f"{(cost.total - ours_whole) / 1e6:+.1f}"
        paper = str(variant.paper), f"{variant.paper - paper_whole:+d}"
        table.add_row(variant.row, variant.has, *ours, *paper)
    console.print(table)
    console.print("BL baseline, SRPN small RPN, SRCN small R-CNN, CEM context enhancement, SAM attention")
    console.print(
        "SNet146 by the channels of Table 1 has 29 million more than the paper counts, in every row"
    )
