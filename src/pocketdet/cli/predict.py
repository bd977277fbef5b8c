"""`pocketdet predict`: predict the time of a bundle on a device from published runs."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pocketdet.errors import UsageError

if TYPE_CHECKING:
    from pocketdet.benchmarks.predict import DeviceModels, Prediction, Workload

NOT_INCLUDED = (
    "Predicted, not measured; the networks alone, without resizing, proposals, RoI align and box decoding."
)
_ALIGNED = "channels aligned: the prediction does not include the gain, because no published model has it"


def predict(
    bundles: Annotated[
        list[Path] | None, typer.Argument(metavar="BUNDLE", help=".pocketdet folders or zip files.")
    ] = None,
    device: Annotated[
        list[str] | None,
        typer.Option(help='Words of a device\'s name, such as "Snapdragon 855+" or snapdragon; repeatable.'),
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="Threads of ncnn, as in the published runs.")] = 1,
    show: Annotated[
        bool, typer.Option("--list", help="List the devices with their cross-validated error.")
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
        _list_devices(models, console, as_json=as_json)
        return
    if not bundles or not device:
        raise UsageError("name a bundle and a --device; --list shows the devices")
    records = []
    for path in bundles:
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
            for column in ("predicted ms", "4 of 5 between", "left-out error"):
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
    console.print(NOT_INCLUDED)


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


def _list_devices(models: "DeviceModels", console: Console, *, as_json: bool) -> None:
    from pocketdet.benchmarks.predict.prediction import DERIVED

    if as_json:
        typer.echo(models.model_dump_json(indent=1, include={"devices"}))
        return
    table = Table("device", "threads", "cores", title="devices with published runs", title_justify="left")
    for column in ("models", "left-out error: median", "90th percentile"):
        table.add_column(column, justify="right")
    for d in models.devices:
        fit = d.fits["float"]
        errors = f"{fit.median_error:.0%}", f"{fit.p90_error:.0%}"
        table.add_row(escape(d.name), str(d.threads), d.cores, str(fit.models), *errors)
    console.print(table)
    console.print("from neighbours: " + ", ".join(d.name for d in DERIVED), markup=False)
