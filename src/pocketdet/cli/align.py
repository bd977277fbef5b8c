"""`pocketdet align`: align the channels of any ncnn model; names, output shapes and values stay the same."""

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console
from rich.table import Table

from pocketdet.cli.arguments import parse_shapes, require_files
from pocketdet.errors import UsageError

if TYPE_CHECKING:
    from pocketdet.armmodel.alignment import AlignmentCycles, PairCycles
    from pocketdet.cli.align_timing import PairTiming
    from pocketdet.export.compare_graphs import OutputDifference
    from pocketdet.export.passes.channel_alignment import AlignmentReport
    from pocketdet.runtime.ncnn_graph import Graph

_UNCHANGED = "the model is unchanged, so both models would run equally fast"


def align(
    param: Annotated[Path, typer.Argument(help="The model's .param file.")],
    weights: Annotated[Path, typer.Argument(help="Its .bin file.")],
    out_param: Annotated[Path, typer.Argument(help="The .param file to write.")],
    out_weights: Annotated[Path, typer.Argument(help="The .bin file to write.")],
    target: Annotated[
        Literal["neon-fp16", "neon-fp32", "avx2", "avx512"],
        typer.Option(help="The machines that the model should become faster on."),
    ] = "neon-fp16",
    lanes: Annotated[
        int | None,
        typer.Option(help="Channels per SIMD element: 4, 8 or 16; by default what the target packs."),
    ] = None,
    shape: Annotated[
        list[str] | None,
        typer.Option(help="Shape of an input that the model does not contain: 3x320x320 or in0=3x320x320."),
    ] = None,
    preserve: Annotated[
        list[str] | None,
        typer.Option(
            "--keep", help="An inner blob that your program extracts and that must not change; repeatable."
        ),
    ] = None,
    wide_outputs: Annotated[
        bool, typer.Option("--wide-outputs", help="Outputs may keep extra channels at their end.")
    ] = False,
    measure: Annotated[
        bool, typer.Option("--measure", help="Decide by timing on this machine, not by the cost model.")
    ] = False,
    tune: Annotated[
        str | None,
        typer.Option(
            metavar="CORE",
            help="Decide by modelled cycles of an ARM core, such as cortex-a76 (make arm-model).",
        ),
    ] = None,
    bench: Annotated[bool, typer.Option("--bench", help="Time both models on this machine.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.")] = False,
) -> None:
    """Align the channels of an ncnn model, so that ncnn uses its fast kernels, and check the outputs.

    ncnn packs 4, 8 or 16 channels and uses slow kernels for channel counts that are not a multiple. Names of
    blobs, and shapes and values of outputs, stay the same. Both models run in ncnn on several inputs before
    anything is written; if an output changed, nothing is written (exit code 1). A model with nothing to gain
    is written unchanged. A layer without a shape rule, and what depends on it, is kept and not run.

    --tune models every width on an ARM core as `pocketdet cycles` does, then every region without padding,
    and keeps what takes the fewest cycles. It takes minutes.

    Example: pocketdet align nanodet.param nanodet.bin fast.param fast.bin --shape 3x320x320 --bench
    """
    if measure and tune:
        raise UsageError("--measure decides by this machine, --tune by a model of another: give one of them")
    require_files(param, weights)
    shapes = parse_shapes(shape or [])
    from pocketdet.cli.align_timing import DECIDING, REPORTING, compare_pair
    from pocketdet.export.align_graph import check_alignment, tune_alignment
    from pocketdet.export.align_model import check_output_paths, read_model, write_model
    from pocketdet.export.compare_graphs import extractable_blobs
    from pocketdet.export.passes.channel_alignment import align_channels, alignment_target

    console = Console(highlight=False)
    machine = alignment_target(target, lanes)
    modelling = _modelling(tune, target) if tune else None
    check_output_paths(out_param, out_weights, overwrite=overwrite)
    model = read_model(param, weights, shapes, preserve or [])
    graph, inputs, known = model.graph, model.inputs, model.known
    known_blobs = set(known.blob_names())
    fixed = [*(blob for blob in preserve or [] if blob in known_blobs), *model.kept_blobs]
    outputs = extractable_blobs(known, fixed)
    options: dict[str, Any] = {"wide_outputs": wide_outputs, "preserve": fixed}

    def speedup(best: "Graph", tried: "Graph") -> float:
        plain, aligned = model.before_barriers(best), model.before_barriers(tried)
        if modelling:
            return modelling.cycles(plain, inputs) / modelling.cycles(aligned, inputs)
        return compare_pair(plain, aligned, inputs, outputs, DECIDING).ratio.low

    with console.status("aligning") as status:
        if measure or modelling:
            doing = "modelling" if modelling else "timing"
            alignment = tune_alignment(
                graph,
                inputs,
                machine,
                speedup,
                progress=lambda step: status.update(f"{doing}: {step}"),
                **options,
            )
        else:
            alignment = align_channels(graph, inputs, machine.lanes, rates=machine.rates, **options)
        status.update("checking")
        aligned = model.before_barriers(alignment.graph)
        differences = check_alignment(known, replace(alignment, graph=aligned), inputs, fixed)
        status.update("timing")
        timing = None
        if bench and alignment.report.changed:
            timing = compare_pair(known, aligned, inputs, outputs, REPORTING)
        cycles = None
        if modelling:
            status.update("modelling")
            cycles = modelling.pair(known, aligned, inputs)
    write_model(alignment.graph, out_param, out_weights)
    not_timed = _UNCHANGED if bench and timing is None else None
    if as_json:
        typer.echo(json.dumps(_record(alignment.report, differences, timing, not_timed, cycles), indent=2))
        return
    _print(alignment.report, differences, console)
    if model.barriers:
        names = ", ".join(f"{layer.type} {layer.name}" for layer in model.barriers)
        console.print(f"kept as they are, without a shape rule or behind such a layer: {names}", markup=False)
    if cycles:
        console.print(str(cycles), markup=False)
    if timing:
        console.print(f"this machine, one thread: {timing}", markup=False)
    if not_timed:
        console.print(f"not timed: {not_timed}", markup=False)
    console.print(f"wrote {out_param} and {out_weights}", markup=False)


def _modelling(core: str, target: str) -> "AlignmentCycles":
    from pocketdet.armmodel.alignment import AlignmentCycles
    from pocketdet.armmodel.cores import find_cores
    from pocketdet.armmodel.instrument import find_instrument
    from pocketdet.export.passes.channel_alignment import alignment_target

    if not alignment_target(target).is_arm:
        raise UsageError(f"--tune {core} models an ARM core: give --target neon-fp16 or neon-fp32")
    (found,) = find_cores([core])
    return AlignmentCycles(find_instrument(), found, target.removeprefix("neon-"))


def _print(report: "AlignmentReport", differences: "Sequence[OutputDifference]", console: Console) -> None:
    table = Table(title=report.summary(), title_justify="left")
    table.add_column("channels", justify="right")
    table.add_column("tensors", justify="right")
    table.add_column("made by", overflow="fold")
    table.add_column("left alone because", overflow="fold")
    for change, reason, names in _grouped(report):
        shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        table.add_row(change, str(len(names)), shown, reason)
    console.print(table)
    console.print(f"multiply-accumulates {report.macs[0]:,} -> {report.macs[1]:,}")
    if report.weight_bytes:
        console.print("weights {:,} -> {:,} bytes".format(*report.weight_bytes))
    console.print(f"predicted speed-up {report.estimated_ratio:.2f}; {report.crops} crops added")
    for blob, (channels, wide) in report.wider_outputs.items():
        console.print(f"output {blob}: {channels} channels, then {wide - channels} of padding", markup=False)
    for difference in differences:
        console.print(f"same answers: {difference}", markup=False)


def _grouped(report: "AlignmentReport") -> list[tuple[str, str, list[str]]]:
    """(channels before -> after, reason to keep them, names of layers), a row for each distinct pair."""
    rows: dict[tuple[str, str], list[str]] = {}
    for item in report.widened:
        rows.setdefault((f"{item.channels} -> {item.lanes}", ""), []).extend(item.makers)
    for excluded in report.refused:
        rows.setdefault((str(excluded.channels), excluded.reason), []).extend(excluded.makers)
    return [(*row, names) for row, names in rows.items()]


def _record(
    report: "AlignmentReport",
    differences: "Sequence[OutputDifference]",
    timing: "PairTiming | None",
    not_timed: str | None,
    cycles: "PairCycles | None",
) -> dict[str, Any]:
    return {
        **asdict(report),
        "proof": [asdict(difference) for difference in differences],
        "milliseconds": asdict(timing) if timing else None,
        "not_timed": not_timed,
        "modelled_cycles": asdict(cycles) if cycles else None,
    }
