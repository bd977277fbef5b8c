"""`pocketdet predict`: predict the time of a bundle on a device from published runs."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pocketdet.cli.arguments import require_bundle
from pocketdet.errors import UsageError

if TYPE_CHECKING:
    from pocketdet.benchmarks.phones import Phone
    from pocketdet.benchmarks.predict import DeviceModel, DeviceModels, Prediction, Workload

NOT_INCLUDED = (
    "Predicted, not measured; the networks alone, without resizing, proposals, RoI align and box decoding."
)
_ERROR = "Error: the median of models that were left out of the fit."
_ALIGNED = "channels aligned: the prediction does not include the gain, because no published model has it"


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
    threads: Annotated[int, typer.Option(min=1, help="Threads of ncnn, as in the published runs.")] = 1,
    show: Annotated[
        bool, typer.Option("--list", help="List the devices of --threads with their error; --device filters.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Predict milliseconds on a device from published ncnn runs. Nothing is measured.

    Each device has a few rates (per multiply-accumulate of a class of layers, per value moved), fitted to
    the times of ncnn's benchmark with the defaults of ncnn at that time: mostly fp16 if the core has it. The
    band contains four of five models that were excluded from the fit. Use it to choose between models or
    devices before you have the device; then measure.

    Example: pocketdet predict snet49.pocketdet --device "Snapdragon 855+" --device "Raspberry Pi 5"
    """
    from pocketdet.benchmarks.predict import bundle_work, load_models
    from pocketdet.runtime.bundle import load_bundle

    models = load_models()
    console = Console(highlight=False)
    if show:
        _list_devices(models, device or [], threads, console, as_json=as_json)
        return
    if not bundles or not device:
        raise UsageError("name a bundle and a --device; --list shows the devices")
    records = []
    for path in bundles:
        require_bundle(path)
        with load_bundle(path) as bundle:
            work, lanes = bundle_work(bundle), bundle.manifest.layout.lanes
            found = [p for query in device for p in _predictions(work, query, threads, models)]
            extra = (_ALIGNED,) if lanes > 1 else ()
            records += [(str(path), p, (*p.notes, *extra)) for p in dict.fromkeys(found)]
    if as_json:
        typer.echo(json.dumps([_record(*record) for record in records], indent=2))
    else:
        _print(records, console)


def _predictions(work: "Workload", query: str, threads: int, models: "DeviceModels") -> "list[Prediction]":
    """Predict for the devices that match the query, or for the chips of the phones that do."""
    from pocketdet.benchmarks.phones import load_phones

    try:
        return _of_devices(work, query, threads, models)
    except UsageError:
        phones = load_phones().find(query)
        if not phones or not query.strip():
            raise
    made: list[Prediction] = []
    missing = []
    for phone in {phone.chip.name: phone for phone in reversed(phones)}.values():
        region = "" if phone.only else " in some regions"
        note = f"{phone.name}: its chip{region} is the {phone.chip.name}"
        try:
            found = _of_devices(work, phone.chip.name, threads, models)
        except UsageError as error:
            missing.append(_why_not(phone, error, models))
        else:
            made += [replace(p, notes=(note, *p.notes)) for p in found]
    if not made:
        raise UsageError("; ".join(reversed(missing)))
    return made[::-1]


def _why_not(phone: "Phone", error: UsageError, models: "DeviceModels") -> str:
    """Say why a phone cannot be predicted, and which published chips have the same fast core."""
    from pocketdet.benchmarks.phones import load_phones
    from pocketdet.benchmarks.predict.coefficients import tokens

    has = f"{phone.name} has the {phone.chip.name}"
    if "thread" in str(error):
        return f"{has}: {error}"
    like = [chip.name for chip in load_phones().chip if chip.core == phone.chip.core]
    names = [tokens(device.name) for device in models.devices if device.threads == 1]
    published = [chip for chip in like if any(tokens(chip) <= name for name in names)]
    hint = f"; its fast core, {phone.chip.core}, is also in {', '.join(published)}" if published else ""
    return f"{has}, of which no run is published{hint}"


def _of_devices(work: "Workload", query: str, threads: int, models: "DeviceModels") -> "list[Prediction]":
    """Predict for all fitted devices that match the query, and for those derived from neighbours."""
    from pocketdet.benchmarks.predict import predict as predict_on
    from pocketdet.benchmarks.predict.coefficients import tokens
    from pocketdet.benchmarks.predict.prediction import DERIVED, predict_derived

    wanted = tokens(query)
    derived = [d for d in DERIVED if wanted and wanted <= tokens(d.name)] if threads == 1 else []
    made = [predict_derived(work, d, models) for d in derived]
    try:
        fitted = models.find(query, threads)
    except UsageError:
        if not made:
            raise
        fitted = []
    return [*(predict_on(work, d, models.ranges) for d in fitted), *made]


def _print(records: "list[tuple[str, Prediction, tuple[str, ...]]]", console: Console) -> None:
    """Print a table for each bundle, then the notes of all."""
    numbers: dict[str, int] = {}
    tables: dict[str, Table] = {}
    for name, p, notes in records:
        if name not in tables:
            tables[name] = Table("device", box=None, padding=(0, 2, 0, 0))
            for column in ("predicted ms", "4 of 5 between", "error"):
                tables[name].add_column(column, justify="right")
            tables[name].add_column("notes")
        marks = [str(numbers.setdefault(note, len(numbers) + 1)) for note in notes]
        setting = ("" if p.cores == "all" else f", {p.cores} cores") + f", {p.threads} threads" * (
            p.threads > 1
        )
        band = f"{_figure(p.low)} to {_figure(p.high)}"
        times = _figure(p.milliseconds), band, f"{p.median_error:.0%}"
        tables[name].add_row(escape(p.device + setting), *times, ", ".join(marks))
    for name, table in tables.items():
        # a title of the table's own would be cut to its width
        console.print(f"{name}: predicted, not measured", style="italic", markup=False, soft_wrap=True)
        console.print(table, "")
    for note, number in numbers.items():
        console.print(f"{number}: {note}", markup=False)
    console.print(f"{NOT_INCLUDED} {_ERROR}")


def _figure(milliseconds: float) -> str:
    return f"{milliseconds:.3g}" if milliseconds < 999.5 else f"{milliseconds:,.0f}"


def _record(name: str, prediction: "Prediction", notes: tuple[str, ...]) -> dict[str, Any]:
    """A JSON object whose keys cannot be mistaken for a measurement."""
    record = asdict(prediction)
    times = {f"predicted_{key}_ms": record.pop(key) for key in ("low", "high")}
    return {
        "bundle": name,
        "measured": False,
        "device": record.pop("device"),
        "predicted_ms": record.pop("milliseconds"),
        **times,
        **record,
        "notes": [*notes, NOT_INCLUDED],
    }


def _list_devices(
    models: "DeviceModels", queries: list[str], threads: int, console: Console, *, as_json: bool
) -> None:
    """List the devices with `threads` threads, and the phones, that match one of the queries; all without."""
    from pocketdet.benchmarks.phones import load_phones
    from pocketdet.benchmarks.predict.coefficients import tokens
    from pocketdet.benchmarks.predict.prediction import DERIVED

    def matches(name: str) -> bool:
        return not queries or any(tokens(query) <= tokens(name) for query in queries)

    named = [d for d in models.devices if matches(f"{d.name} {d.cores}")]
    if as_json:
        listed = models.model_copy(update={"devices": tuple(named)})
        typer.echo(listed.model_dump_json(indent=1, include={"devices"}))
        return
    shown = [d for d in named if d.threads == threads]
    phones = [phone for query in queries for phone in load_phones().find(query)]
    if not named and not phones:
        raise UsageError(f"no device or phone is named {', '.join(queries)}; --list alone shows all")
    if shown:
        _print_devices(shown, threads, console)
    derived = [d.name for d in DERIVED if matches(d.name)] if threads == 1 else []
    if derived:
        console.print("from neighbours: " + ", ".join(derived), markup=False)
    others = len({d.name for d in named} - {d.name for d in shown})
    if others:
        most = Counter(d.threads for d in named if d.threads != threads).most_common(1)[0][0]
        console.print(f"{others} more with other numbers of threads, such as --threads {most}", markup=False)
    for phone in phones:
        console.print(f"{phone.name}: {phone.chip.name}", markup=False)
    if not queries:
        count = len(load_phones().names)
        console.print(f"{count} phones by name, for example: --list --device pixel", markup=False)


def _print_devices(devices: "Sequence[DeviceModel]", threads: int, console: Console) -> None:
    """A line per device; the errors are those of models that were left out of the fit."""
    title = f"published runs with {threads} thread{'s' * (threads > 1)}"
    table = Table(title=title, title_justify="left", box=None, padding=(0, 2, 0, 0))
    table.add_column("device", no_wrap=True, max_width=44)
    for column in ("cores", "models", "error", "90%"):
        table.add_column(column, justify="left" if column == "cores" else "right", no_wrap=True)
    for d in devices:
        fit = d.fits["float"]
        errors = f"{fit.median_error:.0%}", f"{fit.p90_error:.0%}"
        table.add_row(escape(d.name), d.cores, str(fit.models), *errors)
    console.print(table)
    console.print(f"{_ERROR} 90%: the 90th percentile.", markup=False)
