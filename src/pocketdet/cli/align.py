"""`pocketdet align`: anybody's ncnn model, laid out for SIMD lanes; same names, shapes and answers."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console
from rich.table import Table

from pocketdet.cli.arguments import parse_shapes

if TYPE_CHECKING:
    from pocketdet.cli.align_timing import PairTimes
    from pocketdet.export.passes.align_lanes import Aligned, AlignReport, Difference


def align(
    param: Annotated[Path, typer.Argument(help="The model's .param file.")],
    weights: Annotated[Path, typer.Argument(help="Its .bin file.")],
    out_param: Annotated[Path, typer.Argument(help="The .param file to write.")],
    out_weights: Annotated[Path, typer.Argument(help="The .bin file to write.")],
    target: Annotated[
        Literal["neon-fp16", "neon-fp32", "avx2", "avx512"],
        typer.Option(help="The machine that the layout should pay for."),
    ] = "neon-fp16",
    lanes: Annotated[
        int | None, typer.Option(help="4, 8 or 16 channels a lane group; by default what the target packs.")
    ] = None,
    shape: Annotated[
        list[str] | None,
        typer.Option(help="Shape of an input that the model does not say: 3x320x320 or in0=3x320x320."),
    ] = None,
    keep: Annotated[
        list[str] | None, typer.Option(help="An inner blob that your program extracts; repeatable.")
    ] = None,
    wide_outputs: Annotated[
        bool, typer.Option("--wide-outputs", help="Outputs may keep extra channels at their end.")
    ] = False,
    measure: Annotated[
        bool, typer.Option("--measure", help="Decide by timing on this machine, not by the cost model.")
    ] = False,
    bench: Annotated[bool, typer.Option("--bench", help="Time both models on this machine.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.")] = False,
) -> None:
    """Pad and place the channels of an ncnn model so that ncnn's fast kernels run, and prove it.

    ncnn packs 4, 8 or 16 channels and falls back to slow kernels where a channel count is no whole number of
    them. Nothing else changes: blob names, output shapes and values stay. Both models run in ncnn on several
    inputs before anything is written; if an answer changed, nothing is (exit code 1). A model with nothing to
    gain is written as it was.

    Example: pocketdet align nanodet.param nanodet.bin fast.param fast.bin --shape 3x320x320 --bench
    """
    from pocketdet.cli.align_timing import DECIDING, REPORTING, compare_pair
    from pocketdet.export.align_model import check_free, read_model, write_model
    from pocketdet.export.lay_out import prove
    from pocketdet.export.passes.align_lanes import align_lanes
    from pocketdet.export.passes.lane_targets import lane_target
    from pocketdet.export.passes.lanes.proof import readable_outputs
    from pocketdet.export.settle_lanes import settle_lanes

    console = Console(highlight=False)
    machine = lane_target(target, lanes)
    check_free(out_param, out_weights, overwrite=overwrite)
    model = read_model(param, weights, parse_shapes(shape or []), keep or [])
    graph, inputs = model.graph, model.inputs
    outputs = readable_outputs(graph, keep or [])
    wishes: dict[str, Any] = {"wide_outputs": wide_outputs, "keep": keep or []}
    with console.status("aligning") as status:
        if measure:
            made = settle_lanes(
                graph,
                inputs,
                machine,
                lambda best, tried: compare_pair(best, tried, inputs, outputs, DECIDING).ratio.low,
                progress=lambda step: status.update(f"timing: {step}"),
                **wishes,
            )
        else:
            made = align_lanes(graph, inputs, machine.lanes, rates=machine.rates, **wishes)
        status.update("proving")
        proof = prove(graph, made, inputs, keep or [])
        status.update("timing")
        timed = (
            compare_pair(graph, made.graph, inputs, outputs, REPORTING)
            if bench and made.report.changed
            else None
        )
    write_model(made.graph, out_param, out_weights)
    if as_json:
        typer.echo(json.dumps(_record(made.report, proof, timed), indent=2))
        return
    _print(made, proof, console)
    if timed:
        console.print(f"this machine, one thread: {timed}", markup=False)
    console.print(f"wrote {out_param} and {out_weights}", markup=False)


def _print(made: "Aligned", proof: "Sequence[Difference]", console: Console) -> None:
    found = made.report
    table = Table(title=found.summary(), title_justify="left")
    table.add_column("channels", justify="right")
    table.add_column("tensors", justify="right")
    table.add_column("made by", overflow="fold")
    table.add_column("left alone because", overflow="fold")
    for change, reason, makers in _grouped(found):
        shown = ", ".join(makers[:3]) + (f" and {len(makers) - 3} more" if len(makers) > 3 else "")
        table.add_row(change, str(len(makers)), shown, reason)
    console.print(table)
    console.print(f"multiply-accumulates {found.macs[0]:,} -> {found.macs[1]:,}")
    if found.weight_bytes:
        console.print("weights {:,} -> {:,} bytes".format(*found.weight_bytes))
    console.print(f"predicted speed-up {found.estimated_ratio:.2f}; {found.crops} crops added")
    for blob, (channels, wide) in found.wider_outputs.items():
        console.print(f"output {blob}: {channels} channels, then {wide - channels} of padding", markup=False)
    for difference in proof:
        console.print(f"same answers: {difference}", markup=False)


def _grouped(report: "AlignReport") -> list[tuple[str, str, list[str]]]:
    """Tensors with one fate together: what became of their channels, why not more, the layers."""
    together: dict[tuple[str, str], list[str]] = {}
    for wide in report.widened:
        together.setdefault((f"{wide.channels} -> {wide.lanes}", ""), []).extend(wide.makers)
    for left in report.refused:
        together.setdefault((str(left.channels), left.reason), []).extend(left.makers)
    return [(*fate, makers) for fate, makers in together.items()]


def _record(
    report: "AlignReport", proof: "Sequence[Difference]", timed: "PairTimes | None"
) -> dict[str, Any]:
    return {
        **asdict(report),
        "proof": [asdict(difference) for difference in proof],
        "milliseconds": asdict(timed) if timed else None,
    }
