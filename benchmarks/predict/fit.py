"""Fit the coefficients that ship to the published runs: `python -m pocketdet.benchmarks.predict.fit`.

    python -m pocketdet.benchmarks.predict.fit --devices ../shared/data/devices \
        --out benchmarks/predict/coefficients.json

The rates of a device are fitted by non-negative least squares. The command prints for every device the error
of models that are excluded from the fit. The same input gives the same file.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy.optimize import nnls

from pocketdet.benchmarks.predict.coefficients import (
    SCHEMA_VERSION,
    SHIPPED,
    DeviceModel,
    DeviceModels,
    FitRecord,
)
from pocketdet.benchmarks.predict.prediction import range_of, ratio_band, rounded
from pocketdet.benchmarks.predict.published import PublishedRun, read_runs, read_workloads
from pocketdet.benchmarks.predict.workload import BY_PRECISION, Classes, Workload, amounts
from pocketdet.errors import error_exit_code
from pocketdet.io import atomic_write

Array = NDArray[np.float64]

TARGET, MANY = 0.2, 20
SOURCE = "fitted to the least times of the runs published in ncnn's benchmark/README.md (BSD-3)"
UNIT = "nanoseconds per multiply-accumulate of a class, or per value read or written"
# With fewer models the classes cannot be distinguished and a leave-one-out quantile means nothing.
FEWEST_MODELS: Mapping[str, int] = {"float": 12, "int8": 8}


@dataclass(frozen=True)
class DeviceFit:
    """The fit of one device, and its leave-one-out cross-validation.

    Attributes:
        rates: Nanoseconds per MAC or value moved, (classes,).
        models: Names of the models.
        ratios: Predicted / published time of each model when it is excluded from the fit, (models,).
    """

    rates: Array
    models: tuple[str, ...]
    ratios: Array

    @property
    def errors(self) -> Array:
        """Absolute relative errors of the excluded models."""
        return np.asarray(np.abs(self.ratios - 1))

    @property
    def band(self) -> tuple[float, float]:
        """The ratios predicted / published between which a new model lies with a probability of 80%."""
        return ratio_band(self.ratios)

    @property
    def coverage(self) -> float:
        """Fraction of the models whose ratio lies in the band of the others."""
        others = (np.delete(self.ratios, i) for i in range(len(self.ratios)))
        bands = [ratio_band(ratios) for ratios in others]
        return float(np.mean([low <= r <= high for r, (low, high) in zip(self.ratios, bands, strict=True)]))


def fit_device(
    works: Mapping[str, Workload], milliseconds: Mapping[str, float], classes: Classes
) -> DeviceFit:
    """Fit one device to the models that both mappings have, and again without each of them in turn.

    Non-negative least squares of the relative error: the rows are amounts / published time, the target is 1.

    Returns:
        Rates and leave-one-out ratios.
    """
    models = tuple(name for name in works if name in milliseconds)
    rows = np.array([amounts(works[name], classes) / milliseconds[name] for name in models])
    ratios = np.array([row @ solve(np.delete(rows, i, axis=0)) for i, row in enumerate(rows)])
    return DeviceFit(solve(rows), models, ratios)


def solve(rows: Array) -> Array:
    """Solve the non-negative least squares |rows @ rates - 1|.

    Args:
        rows: Amounts / published time, (models, classes).

    Returns:
        Rates >= 0, (classes,); 0 for a class without amounts.
    """
    norms = np.linalg.norm(rows, axis=0)
    scale = np.where(norms > 0, norms, 1.0)  # so that the units of the classes do not matter
    rates, _ = nnls(rows / scale, np.ones(len(rows)))
    return np.asarray(rates / scale)


def split_works(works: Mapping[str, Workload]) -> dict[str, dict[str, Workload]]:
    """Split the benchmark's models by precision.

    Returns:
        By precision ("float", "int8") the workload by model.
    """
    return {
        precision: {name: w for name, w in works.items() if (w.int8 > 0) == (precision == "int8")}
        for precision in BY_PRECISION
    }


def fit_runs(
    works: Mapping[str, Workload], runs: Sequence[PublishedRun]
) -> list[tuple[PublishedRun, dict[str, DeviceFit]]]:
    """Fit every run that has enough models."""
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
    """Make the content of the file.

    Args:
        works: Workload by model.
        fitted: Result of `fit_runs`.

    Returns:
        Devices, classes and ranges, rounded to 8 digits.
    """
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
        rates=dict(zip(BY_PRECISION[precision], map(rounded, fit.rates), strict=True)),
        models=len(fit.models),
        median_error=rounded(np.median(fit.errors)),
        p90_error=rounded(np.quantile(fit.errors, 0.9)),
        ratio_low=rounded(low),
        ratio_high=rounded(high),
    )


def print_errors(fitted: Sequence[tuple[PublishedRun, Mapping[str, DeviceFit]]], console: Console) -> None:
    """Print one line per device, then how many reach the target.

    Args:
        fitted: Result of `fit_runs`.
        console: Where to print.
    """
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
    """Print how many devices with many models are below the target, and the median of all."""
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


@error_exit_code
def main(arguments: Sequence[str] | None = None) -> int:
    """Fit, print and write.

    Args:
        arguments: The command line; `None` for that of the process.

    Returns:
        The exit code; a `PocketdetError` is printed as one sentence.
    """
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--devices", type=Path, required=True, help="folder with the published runs")
    parser.add_argument("--out", type=Path, default=SHIPPED, help="the file to write")
    chosen = parser.parse_args(arguments)
    works = read_workloads(chosen.devices)
    fitted = fit_runs(works, read_runs(chosen.devices))
    print_errors(fitted, Console(highlight=False))
    atomic_write(chosen.out, make_models(works, fitted).model_dump_json(indent=1) + "\n")
    print(f"wrote {chosen.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
