"""`pocketdet verify`: compare a bundle with the model that it was made from."""

import importlib.util
import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pocketdet.cli.arguments import SIZE_HELP, optional_size, require_bundle, require_files
from pocketdet.cli.user_code import module_from_code
from pocketdet.errors import UsageError

if TYPE_CHECKING:
    from pocketdet.runtime.parity import Check
    from pocketdet.runtime.verification import LayerCheck, VerifyReport


def verify(
    bundle: Annotated[Path, typer.Argument(help="A .pocketdet folder or zip file.")],
    image: Annotated[list[Path] | None, typer.Option(help="More images to compare on; repeatable.")] = None,
    layers: Annotated[bool, typer.Option("--layers", help="Also compare every ncnn layer.")] = False,
    weights: Annotated[
        Path | None, typer.Option(help="PyTorch weights, if the bundle has none (--slim); or of --module.")
    ] = None,
    module: Annotated[
        str | None,
        typer.Option(
            metavar="PACKAGE.MODULE:FACTORY",
            help="Code that makes the torch.nn.Module that the bundle was made from; it runs.",
        ),
    ] = None,
    size: Annotated[str | None, typer.Option(help=SIZE_HELP + "; all of them by default.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Compare PyTorch, ONNX and ncnn stage by stage.

    The golden image in the bundle is always compared and does not require torch. Each stage receives the
    inputs of PyTorch, so the first failing row is the stage at fault. The fields of a one-stage detector's
    outputs (boxes, objectness, classes; per level) are compared by their own ranges. Exit code 1 if a stage
    is out of tolerance. A stage with nothing to compare has the mark "?" and is listed as not proved.

    ncnn runs in the precision of the bundle if this processor supports it. For a bundle in half precision,
    every layer's range is measured on any processor; a layer that overflows fails.

    Example: pocketdet verify snet49.pocketdet --image photo.jpg --layers
    """
    require_bundle(bundle)
    pixels = optional_size(size)
    report = _report(bundle, image or [], layers, weights, module, pixels)
    if as_json:
        typer.echo(json.dumps(report.to_json(), indent=2))
    else:
        print_report(report, Console(highlight=False))
    if not report.ok:
        raise typer.Exit(1)


def _report(
    bundle: Path,
    images: list[Path],
    layers: bool,
    weights: Path | None,
    target: str | None,
    size: tuple[int, int] | None,
) -> "VerifyReport":
    if importlib.util.find_spec("torch") is None:
        if images or layers or weights or target:
            raise UsageError("--image, --layers and --weights need PyTorch: pip install 'pocketdet[export]'")
        from pocketdet.runtime.verification import replay

        return replay(bundle, size)
    require_files(weights, *images)
    from pocketdet.runtime.bundle import load_bundle

    load_bundle(bundle, size).close()  # refuses a damaged one before torch is imported, which takes seconds
    from pocketdet.export.verify import verify as compare_with_torch

    if target is not None:
        module = module_from_code(target, weights)
        return compare_with_torch(bundle, images, layers=layers, module=module, size=size)
    return compare_with_torch(bundle, images, layers=layers, weights=weights, size=size)


def print_report(report: "VerifyReport", console: Console) -> None:
    """Print a table per image, the layers if they were compared, and the verdict."""
    for part in report.images:
        for subject, checks in part.checks.items():
            then = "PyTorch at export" if subject == "pytorch" else "PyTorch"
            _print_table(console, f"{subject} against {then}, {part.image}", _stage_table(checks))
    if report.layers:
        title = "every ncnn blob against its PyTorch module"
        _print_table(console, title, _layer_table(report.layers))
    for cost in report.costs:
        console.print(cost, markup=False, soft_wrap=True)
    for overflow in report.overflows:
        console.print(f"overflows in half precision: {overflow}", style="bold red", markup=False)
    stage, layer = report.first_stage, report.first_layer
    if stage:
        console.print(f"first stage out of tolerance: {stage}", style="bold red", markup=False)
    if layer:
        console.print(
            f"first layer out of tolerance: {layer.layer_type} {layer.layer!r} (blob {layer.blob}), "
            f"made by {layer.source}",
            style="bold red",
            markup=False,
        )
    _print_not_proved(report, console)
    if report.ok:
        count = sum(len(c) for i in report.images for c in i.checks.values()) - len(report.not_proved)
        rows = f" and {len(report.layers)} layer outputs" if report.layers else ""
        console.print(f"all {count} stage checks{rows} hold", style="green")


def _print_not_proved(report: "VerifyReport", console: Console) -> None:
    names = report.not_proved
    if names:
        console.print(
            f"not proved, nothing to compare: {', '.join(names)}; export with --golden and an image on which "
            "the detector detects",
            style="yellow",
            markup=False,
            soft_wrap=True,
        )


def _print_table(console: Console, title: str, table: Table) -> None:
    # rich would cut a title to the width of the table and parse markup in it
    console.print(Text(f"\n{title}", style="bold"), soft_wrap=True)
    console.print(table)


def _stage_table(checks: "Iterable[Check]") -> Table:
    table = _table("stage", "max abs", "limit", "SNR dB", "cosine")
    table.add_column("note", no_wrap=True)
    for check in checks:
        # names of outputs come from an untrusted bundle
        table.add_row(_mark(check), Text(check.name), *_figures(check), Text(check.note))
    return table


def _layer_table(rows: "Iterable[LayerCheck]") -> Table:
    table = _table("layer", "max abs", "limit", "SNR dB")
    table.add_column("PyTorch module", overflow="fold")
    for row in rows:
        figures = _figures(row.check)[:3] if row.check else [""] * 3
        # layer names and sources come from an untrusted bundle
        table.add_row(
            _mark(row.check) if row.check else "", Text(row.layer), *figures, Text(row.source or "")
        )
    return table


def _table(subject: str, *figures: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("", no_wrap=True, min_width=1)
    table.add_column(subject, overflow="fold")
    for column in figures:
        # in a narrow terminal names are broken, figures are not
        table.add_column(column, justify="right", no_wrap=True, min_width=len("0.000000"))
    return table


def _mark(check: "Check") -> str:
    colour = {"✓": "green", "?": "yellow", "x": "red"}[check.mark]
    return f"[{colour}]{check.mark}[/]"


def _figures(check: "Check") -> list[str]:
    snr = "exact" if check.max_abs == 0 else "" if check.snr_db is None else f"{check.snr_db:.0f}"
    return [f"{check.max_abs:.1e}", f"{check.tolerance:.0e}", snr, f"{check.cosine:.6f}"]
