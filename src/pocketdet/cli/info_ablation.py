"""`pocketdet info --ablation`: ThunderNet's Table 7, our costs beside the paper's."""

import json

import typer
from rich.console import Console
from rich.table import Table

from pocketdet.cli.arguments import require_torch


def print_ablation(console: Console, *, as_json: bool) -> None:
    """The rows as a table, or as JSON. Raises `UsageError` without PyTorch."""
    require_torch("--ablation")
    from pocketdet.models.ablation import ablation_table

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
