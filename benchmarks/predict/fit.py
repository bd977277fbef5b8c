"""Make the coefficients that ship from the published runs: `python -m pocketdet.benchmarks.predict.fit`.

    python -m pocketdet.benchmarks.predict.fit --devices ../shared/data/devices \
        --out benchmarks/predict/coefficients.json

Prints for every device how far off the predictions are for models that were left out of the fit. The same
input gives the same file.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from pocketdet.benchmarks.predict.classes import BY_PRECISION
from pocketdet.benchmarks.predict.coefficients import (
    SCHEMA_VERSION,
    SHIPPED,
    DeviceModel,
    DeviceModels,
    FitRecord,
)
from pocketdet.benchmarks.predict.fitting import FEWEST_MODELS, DeviceFit, fit_device
from pocketdet.benchmarks.predict.prediction import range_of
from pocketdet.benchmarks.predict.published import PublishedRun, read_runs, read_workloads
from pocketdet.benchmarks.predict.workload import Workload
from pocketdet.errors import PocketdetError
from pocketdet.io import atomic_write

TARGET, MANY = 0.2, 20
SOURCE = "fitted to the least times of the runs published in ncnn's benchmark/README.md (BSD-3)"
UNIT = "nanoseconds per multiply-accumulate of a class, or per value read or written"


def split_works(works: Mapping[str, Workload]) -> dict[str, dict[str, Workload]]:
    """The benchmark's models by precision."""
    return {
        precision: {name: w for name, w in works.items() if (w.int8 > 0) == (precision == "int8")}
        for precision in BY_PRECISION
    }


def fit_runs(
    works: Mapping[str, Workload], runs: Sequence[PublishedRun]
) -> list[tuple[PublishedRun, dict[str, DeviceFit]]]:
    """Every run that has enough models, with its fits by precision."""
    fitted = []
    for run in runs:
        fits = {
            precision: fit_device(part, run.milliseconds, BY_PRECISION[precision])
            for precision, part in split_works(works).items()
            if sum(name in run.milliseconds for name in part) >= FEWEST_MODELS[precision]
        }
        if "float" in fits:
            fitted.append((run, fits))
    return fitted


def make_models(
    works: Mapping[str, Workload], fitted: Sequence[tuple[PublishedRun, Mapping[str, DeviceFit]]]
) -> DeviceModels:
    """The content of the file, rounded to 8 digits."""
    devices = tuple(
        DeviceModel(
            name=run.name,
            published_as=run.published_as,
            threads=run.threads,
            cores=run.cores,
            fits={precision: _record(fit, precision) for precision, fit in fits.items()},
        )
        for run, fits in fitted
    )
    return DeviceModels(
        schema_version=SCHEMA_VERSION,
        source=SOURCE,
        unit=UNIT,
        classes={precision: dict(classes) for precision, classes in BY_PRECISION.items()},
        ranges={p: range_of(list(part.values()), p) for p, part in split_works(works).items()},
        devices=devices,
    )


def _record(fit: DeviceFit, precision: str) -> FitRecord:
    low, high = fit.band
    return FitRecord(
        rates=dict(zip(BY_PRECISION[precision], map(_rounded, fit.rates), strict=True)),
        models=len(fit.models),
        median_error=_rounded(np.median(fit.errors)),
        p90_error=_rounded(np.quantile(fit.errors, 0.9)),
        ratio_low=_rounded(low),
        ratio_high=_rounded(high),
    )


def _rounded(value: float) -> float:
    return float(f"{value:.8g}")


def print_errors(fitted: Sequence[tuple[PublishedRun, Mapping[str, DeviceFit]]], console: Console) -> None:
    """One line a device, then how many reach the target."""
    title = "error of the predicted time of models left out of the fit"
    table = Table("device", "threads", "cores", title=title, title_justify="left", box=None)
    for column in ("models", "median", "p90", "in band", "int8 models", "median", "p90"):
        table.add_column(column, justify="right")
    for run, fits in fitted:
        cells = [_errors(fits["float"], banded=True)]
        cells.append(_errors(fits["int8"]) if "int8" in fits else ("-", "-", "-"))
        table.add_row(run.name, str(run.threads), run.cores, *(text for cell in cells for text in cell))
    console.print(table)
    for label, chosen in (("one thread", True), ("several threads", False)):
        print_summary(label, [f["float"] for run, f in fitted if (run.threads == 1) == chosen], console)


def print_summary(label: str, fits: Sequence[DeviceFit], console: Console) -> None:
    """How many devices with many models are below the target, and the middle of all."""
    many = [np.median(fit.errors) for fit in fits if len(fit.models) >= MANY]
    if not many:
        return
    below = sum(median < TARGET for median in many)
    console.print(
        f"{label}: {below} of {len(many)} devices with {MANY} models or more have a median error below "
        f"{TARGET:.0%}; the median of medians is {np.median(many):.1%}, the largest {max(many):.1%}; "
        f"{np.mean([fit.coverage for fit in fits]):.0%} of the left-out models lie in the band of the others"
    )


def _errors(fit: DeviceFit, *, banded: bool = False) -> tuple[str, ...]:
    cells = (str(len(fit.models)), f"{np.median(fit.errors):.1%}", f"{np.quantile(fit.errors, 0.9):.1%}")
    return (*cells, f"{fit.coverage:.0%}") if banded else cells


def main(arguments: Sequence[str] | None = None) -> int:
    """Fit, print and write. Returns the exit code; a PocketdetError becomes one sentence."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--devices", type=Path, required=True, help="folder with the published runs")
    parser.add_argument("--out", type=Path, default=SHIPPED, help="the file to write")
    chosen = parser.parse_args(arguments)
    try:
        works = read_workloads(chosen.devices)
        fitted = fit_runs(works, read_runs(chosen.devices))
        print_errors(fitted, Console(highlight=False))
        write_models(chosen.out, make_models(works, fitted))
    except PocketdetError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    print(f"wrote {chosen.out}")
    return 0


def write_models(path: Path, models: DeviceModels) -> None:
    """Write the file whole or not at all. Raises UsageError."""
    atomic_write(path, models.model_dump_json(indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
