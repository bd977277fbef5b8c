"""`pocketdet predict`: the time of a bundle on a device that you do not have, by the best method for it."""

import contextlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pocketdet.cli.arguments import require_bundle
from pocketdet.errors import UsageError

if TYPE_CHECKING:
    from pocketdet.armmodel.estimate import Target
    from pocketdet.armmodel.instrument import Instrument
    from pocketdet.benchmarks.predict import DeviceModel, DeviceModels, Prediction

NOT_INCLUDED = (
    "Not measured. Times and bands are those of the networks alone; only modelled frames include resizing, "
    "proposals, RoI align and box decoding."
)
_ERROR = "Error: the median of published models whose own times were left out."


def predict(
    bundles: Annotated[
        list[Path] | None, typer.Argument(metavar="BUNDLE", help=".pocketdet folders or zip files.")
    ] = None,
    device: Annotated[
        list[str] | None,
        typer.Option(
            help='Words of a device\'s or phone\'s name, such as "Snapdragon 855+" or "Pixel 3"; repeatable.'
        ),
    ] = None,
    threads: Annotated[
        int, typer.Option(min=1, help="Threads of ncnn, as in the published runs; one thread is modelled.")
    ] = 1,
    precision: Annotated[
        Literal["fp32", "fp16-storage", "fp16", "bf16-storage"] | None,
        typer.Option(help="Arithmetic requested of ncnn where it is modelled; the bundle's by default."),
    ] = None,
    show: Annotated[
        bool, typer.Option("--list", help="List the devices of --threads with their error; --device filters.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Estimate milliseconds on a device that you do not have. Nothing is measured.

    Where the device's core has a pipeline model, the cycles of the networks are modelled, as in `pocketdet
    cycles`, and compared with published times of the device ("modelled"). Elsewhere, with several threads and
    without the programs of `make arm-model`, a regression over the published times of other networks is used
    ("predicted"). Where both apply, the one with the smaller error is taken. The band contains four of five
    networks with published times. Use it to choose between models or devices before you have the device;
    then measure.

    Example: pocketdet predict snet49.pocketdet --device "Snapdragon 855+" --device "Raspberry Pi 5"
    """
    from pocketdet.armmodel.estimate import estimate, find_targets
    from pocketdet.benchmarks.predict import load_models
    from pocketdet.cli.cycles_report import CyclesProgress
    from pocketdet.runtime.bundle import load_bundle

    models = load_models()
    console = Console(highlight=False)
    if show:
        _list_devices(models, device or [], threads, console, as_json=as_json)
        return
    if not bundles or not device:
        raise UsageError("name a bundle and a --device; --list shows the devices")
    for path in bundles:
        require_bundle(path)
    targets = [target for query in device for target in find_targets(query, threads, models)]
    instrument, targets = _instrument(targets)
    records: list[tuple[str, Prediction]] = []
    with contextlib.ExitStack() as stack:
        progress = stack.enter_context(CyclesProgress()) if instrument else None
        for path in bundles:
            with load_bundle(path) as bundle:
                found = estimate(bundle, targets, models, instrument, precision, progress)
                records += [(str(path), p) for p in dict.fromkeys(found)]
    if as_json:
        typer.echo(json.dumps([_record(*record) for record in records], indent=2))
    else:
        _print(records, console)


def _instrument(targets: "list[Target]") -> "tuple[Instrument | None, list[Target]]":
    """The programs that model cycles, or None; without them, only the devices that have a published run."""
    from pocketdet.armmodel.instrument import find_instrument

    if not any(target.device for target in targets):
        return None, targets
    try:
        return find_instrument(), targets
    except UsageError as error:
        known = [target for target in targets if target.fitted]
        missing = ", ".join(dict.fromkeys(target.name for target in targets if not target.fitted))
        why = f"what `make arm-model` builds is missing ({error})"
        if not known:
            raise UsageError(
                f"{missing}: no run of ncnn's benchmark is published, and nothing can be modelled: {why}"
            ) from error
        left_out = f", and {missing} left out" * bool(missing)
        typer.echo(f"predicted from published runs alone{left_out}: {why}", err=True)
        return None, known


def _print(records: "Sequence[tuple[str, Prediction]]", console: Console) -> None:
    """Print a table for each bundle, then the notes of all."""
    numbers: dict[str, int] = {}
    tables: dict[str, Table] = {}
    for name, p in records:
        if name not in tables:
            tables[name] = Table("device", box=None, padding=(0, 2, 0, 0))
            for column in ("networks, ms", "4 of 5 between", "error", "frame, ms"):
                tables[name].add_column(column, justify="right")
            tables[name].add_column("method", no_wrap=True)
            tables[name].add_column("notes")
        marks = [str(numbers.setdefault(note, len(numbers) + 1)) for note in p.notes]
        setting = ("" if p.cores == "all" else f", {p.cores} cores") + f", {p.threads} threads" * (
            p.threads > 1
        )
        band = f"{_figure(p.low)} to {_figure(p.high)}"
        frame = "" if p.frame is None else _figure(p.frame)
        times = _figure(p.milliseconds), band, f"{p.median_error:.0%}", frame
        tables[name].add_row(escape(p.device + setting), *times, p.method, ", ".join(marks))
    for name, table in tables.items():
        # a title of the table's own would be cut to its width
        console.print(f"{name}: not measured", style="italic", markup=False, soft_wrap=True)
        console.print(table, "")
    for note, number in numbers.items():
        console.print(f"{number}: {note}", markup=False)
    console.print(f"{NOT_INCLUDED} {_ERROR}")


def _figure(milliseconds: float) -> str:
    return f"{milliseconds:.3g}" if milliseconds < 999.5 else f"{milliseconds:,.0f}"


def _record(name: str, prediction: "Prediction") -> dict[str, Any]:
    """A JSON object whose keys cannot be mistaken for a measurement."""
    record = asdict(prediction)
    times = {f"predicted_{key}_ms": record.pop(key) for key in ("low", "high", "frame")}
    return {
        "bundle": name,
        "measured": False,
        "method": record.pop("method"),
        "device": record.pop("device"),
        "predicted_ms": record.pop("milliseconds"),
        **times,
        **record,
        "notes": [*prediction.notes, NOT_INCLUDED],
    }


def _list_devices(
    models: "DeviceModels", queries: list[str], threads: int, console: Console, *, as_json: bool
) -> None:
    """List the devices with `threads` threads, and the phones, that match one of the queries; all without."""
    from pocketdet.armmodel.estimate import modelled_device, unknown_device, unpublished_devices
    from pocketdet.benchmarks.phones import load_phones
    from pocketdet.benchmarks.predict.coefficients import tokens

    def matches(name: str) -> bool:
        return not queries or any(tokens(query) <= tokens(name) for query in queries)

    named = [d for d in models.devices if matches(f"{d.name} {d.cores}")]
    compared = {modelled_device(d) for d in models.devices}
    others = [d for d in unpublished_devices() if matches(d.name) and d not in compared]
    if as_json:
        listed = models.model_copy(update={"devices": tuple(named)}).model_dump(include={"devices"})
        clocks = [{"name": d.name, "core": d.core, "ghz": d.ghz, "note": d.note} for d in others]
        typer.echo(json.dumps({**listed, "modelled_without_published_run": clocks}, indent=1))
        return
    shown = [d for d in named if d.threads == threads]
    phones = [phone for query in queries for phone in load_phones().find(query)]
    if not named and not others and not phones:
        raise unknown_device(" ".join(queries), models)
    if shown:
        _print_devices(shown, threads, console)
    if others and threads == 1:
        names = ", ".join(d.name for d in others)
        console.print(f"modelled without a published run, most at a clock from general knowledge: {names}")
    more = len({d.name for d in named} - {d.name for d in shown})
    if more:
        most = Counter(d.threads for d in named if d.threads != threads).most_common(1)[0][0]
        console.print(f"{more} more with other numbers of threads, such as --threads {most}", markup=False)
    for phone in phones:
        console.print(f"{phone.name}: {phone.chip.name}", markup=False)
    if not queries:
        count = len(load_phones().names)
        console.print(f"{count} phones by name, for example: --list --device pixel", markup=False)


def _print_devices(devices: "Sequence[DeviceModel]", threads: int, console: Console) -> None:
    """A line per device with the error of each method."""
    from pocketdet.armmodel.estimate import modelled_device, spread_on
    from pocketdet.armmodel.validation import load_validation

    validation = load_validation()
    title = f"published runs with {threads} thread{'s' * (threads > 1)}, models in float"
    table = Table(title=title, title_justify="left", box=None, padding=(0, 2, 0, 0))
    table.add_column("device", max_width=39, overflow="fold")
    for column in ("cores", "models", "predicted", "modelled"):
        table.add_column(column, justify="left" if column == "cores" else "right", no_wrap=True)
    for d in devices:
        fit, cluster = d.fits["float"], modelled_device(d)
        modelled = f"{spread_on(cluster, 'float', validation).median_error:.1%}" if cluster else ""
        table.add_row(escape(d.name), d.cores, str(fit.models), f"{fit.median_error:.1%}", modelled)
    console.print(table)
    console.print(f"{_ERROR} The smaller one is taken.", markup=False)
