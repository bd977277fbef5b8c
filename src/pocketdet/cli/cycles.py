"""`pocketdet cycles`: model the cycles of a detector on an ARM core that is not there.

With `--measured`, modelled cycles and measured milliseconds stand side by side.
"""

import contextlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pocketdet.cli.arguments import parse_shapes, require_bundle
from pocketdet.cli.cycles_report import Clock
from pocketdet.errors import UsageError

if TYPE_CHECKING:
    from pocketdet.armmodel.modelled import Figures, Modelled
    from pocketdet.armmodel.subject import Subject
    from pocketdet.benchmarks.record import Record
    from pocketdet.runtime.bundle import Bundle

_DEFAULT_CORE = "cortex-a76"


def cycles(
    target: Annotated[
        Path | None, typer.Argument(metavar="TARGET", help="A bundle, or a .param file of any ncnn model.")
    ] = None,
    other: Annotated[
        Path | None, typer.Argument(metavar="OTHER", help="Another one, for a table side by side.")
    ] = None,
    core: Annotated[
        list[str] | None,
        typer.Option(help="cortex-a76 (the default), cortex-a55, cortex-a78, cortex-a710...; repeatable."),
    ] = None,
    device: Annotated[
        list[str] | None,
        typer.Option(help='Words of a device\'s name, such as "855+": its core and its clock; repeatable.'),
    ] = None,
    ghz: Annotated[
        float | None, typer.Option(min=0.05, max=10.0, help="A clock of the cores, for milliseconds.")
    ] = None,
    precision: Annotated[
        Literal["fp32", "fp16-storage", "fp16", "bf16-storage"] | None,
        typer.Option(help="Arithmetic requested of ncnn; by default the bundle's, fp16 for a .param file."),
    ] = None,
    image: Annotated[Path | None, typer.Option(help="Image to detect on; the golden one by default.")] = None,
    rois: Annotated[
        int | None,
        typer.Option(min=1, max=10_000, help="Most proposals for the head; the bundle's by default."),
    ] = None,
    shape: Annotated[
        list[str] | None,
        typer.Option(
            help="Shape of an input that a .param file does not contain: 3x320x320 or in0=3x320x320."
        ),
    ] = None,
    measured: Annotated[
        Path | None,
        typer.Option(
            metavar="RECORD", help="Record of bench --layers of the bundle, to stand beside the model."
        ),
    ] = None,
    top: Annotated[int, typer.Option(min=0, help="Layers and functions in the tables.")] = 12,
    plot: Annotated[Path | None, typer.Option(help="Plot to write (.png): where the cycles go.")] = None,
    show: Annotated[bool, typer.Option("--list", help="List the cores and devices.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Model the cycles of one frame on an ARM core, by stage, layer and function. Nothing is measured.

    The ARM program runs in an emulator, which counts how often each block of instructions is executed; LLVM's
    model of the core's pipeline says how many cycles a block takes. Milliseconds on a device include the
    time of its memory if it is known. The documentation has the errors against published times. The weights
    of a .param file are those of the .bin file beside it, or zero without one.

    The first run takes some minutes; blocks that were analysed before are kept. `make arm-model` builds what
    is needed.

    --measured adds what `pocketdet bench --layers` measured of the same bundle, in columns of its own.

    Example: pocketdet cycles snet49.pocketdet --device "855+" --device "Pi 5" --precision fp16

    Example: pocketdet cycles plain.param aligned.param --core cortex-a55 --shape 3x320x320
    """
    from pocketdet.armmodel.instrument import find_instrument
    from pocketdet.armmodel.modelled import model
    from pocketdet.armmodel.plots import plot_layers
    from pocketdet.cli.cycles import print_side_by_side, with_measured
    from pocketdet.cli.cycles_report import CyclesProgress, print_list, print_modelled, print_pair, record_of

    console = Console(highlight=False)
    if show:
        print_list(console)
        return
    if target is None:
        raise UsageError("name a bundle or a .param file; --list shows the cores and devices")
    clocks = _clocks(core or [], device or [], ghz)
    with contextlib.ExitStack() as stack:
        subjects = [
            stack.enter_context(_subject(path, precision, image, rois, shape or []))
            for path in (target, other)
            if path is not None
        ]
        record = None if measured is None else _measured(measured, subjects)
        instrument = find_instrument()
        cores = list({clock.core.name: clock.core for clock in clocks}.values())
        with CyclesProgress() as progress:
            results = [list(model(subject, cores, instrument, progress)) for subject in subjects]
    if plot:
        plot_layers(plot, [found[0] for found in results])
    if as_json:
        records = [record_of(m, clocks) for found in results for m in found]
        records = [with_measured(document, record) for document in records] if record else records
        typer.echo(json.dumps(records, indent=1))
        return
    for found in zip(*results, strict=True):
        if other is None:
            print_modelled(found[0], clocks, top, console)
            if record:
                print_side_by_side(found[0], record, clocks, top, console)
        else:
            print_pair(found[0], found[1], clocks, top, console)


def _measured(path: Path, subjects: "list[Subject]") -> "Record":
    """The record of the only subject, which must be a bundle."""
    from pocketdet.armmodel.subject import BundleSubject
    from pocketdet.cli.cycles import read_measured

    if len(subjects) > 1 or not isinstance(subjects[0], BundleSubject):
        raise UsageError(f"--measured {path}: a record stands beside one bundle; name one")
    return read_measured(path, subjects[0].bundle)


def _clocks(cores: list[str], devices: list[str], ghz: float | None) -> "list[Clock]":
    """The clusters to model: the devices, then the cores that were named."""
    from pocketdet.armmodel.cores import CORES, find_cores
    from pocketdet.armmodel.devices import find_devices
    from pocketdet.cli.cycles_report import Clock

    if ghz is not None and devices:
        raise UsageError("--ghz is the clock of --core; a --device has its own")
    clocks = [Clock(d.name, CORES[d.core], d.ghz, d.line_ns) for d in find_devices(devices)]
    names = cores or ([] if devices else [_DEFAULT_CORE])
    return clocks + [Clock(found.name, found, ghz) for found in find_cores(names)]


@contextlib.contextmanager
def _subject(
    path: Path, precision: str | None, image: Path | None, rois: int | None, shapes: list[str]
) -> "Iterator[Subject]":
    """What a path names: a .param file, or a bundle."""
    from pocketdet.armmodel.subject import BundleSubject, NetworkSubject
    from pocketdet.runtime.bundle import load_bundle

    if path.suffix == ".param":
        if image or rois:
            raise UsageError(f"--image and --rois are for bundles; {path} is a .param file")
        weights = path.with_suffix(".bin")
        found = weights if weights.is_file() else None
        yield NetworkSubject(path, found, precision or "fp16", parse_shapes(shapes))
        return
    if shapes:
        raise UsageError(f"--shape is for .param files; {path} is not one")
    require_bundle(path)
    with load_bundle(path) as bundle:
        if rois and bundle.manifest.detector == "one-stage":
            raise UsageError(f"--rois: {path} is a one-stage detector, which has no proposals")
        yield BundleSubject(bundle, precision, image, rois)


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
