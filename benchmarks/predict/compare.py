"""Compare groups of layer classes by leave-one-out error: `python -m pocketdet.benchmarks.predict.compare`.

Every variant is fitted to the runs with one thread, floating point models only. "one speed per device" fits
one factor per device to rates that all devices share.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from pocketdet.benchmarks.predict.fit import FEWEST_MODELS, MANY, TARGET, fit_device, solve, split_works
from pocketdet.benchmarks.predict.published import PublishedRun, read_runs, read_workloads
from pocketdet.benchmarks.predict.workload import FLOAT, Classes, Workload, amounts
from pocketdet.errors import PocketdetError

Array = NDArray[np.float64]
# Networks similar to ThunderNet: shuffled or inverted bottlenecks, mostly 1x1 and depthwise.
LIGHT = ("shufflenet_v2", "nanodet_m", "FastestDet", "yolo_fastestv2", "yolo_fastest_1.1", "mobilenet_v3")
_ROUNDS = 4


def split_classes(**parts: tuple[str, ...]) -> Classes:
    """Move some detailed classes out of the groups that ship.

    Args:
        **parts: Detailed classes by the name of their own group.

    Returns:
        The groups that ship without these classes, and the new groups.
    """
    taken = {detail for details in parts.values() for detail in details}
    remaining = {name: tuple(d for d in details if d not in taken) for name, details in FLOAT.items()}
    return {name: details for name, details in {**remaining, **parts}.items() if details}


VARIANTS: Mapping[str, Classes] = {
    "as shipped": FLOAT,
    "layer count": split_classes(layers=("layers",)),
    "odd 1x1 apart": split_classes(odd=("dense_1x1_odd",)),
    "odd depthwise apart": split_classes(odd=("depthwise_odd",)),
    "depthwise 5x5 apart": split_classes(wide=("depthwise_5x5",)),
    "grouped apart": split_classes(grouped=("grouped",)),
    "moved by dense apart": split_classes(moved=("moved_dense",)),
}


def shared_rates(rows: Sequence[Array]) -> Array:
    """Fit rates that all devices share up to one factor each.

    Args:
        rows: Amounts / time of each device, (models, classes).

    Returns:
        Rates, (classes,).
    """
    factors = np.array([1 / np.median(device.sum(axis=1)) for device in rows])
    for _ in range(_ROUNDS):
        rates = solve(np.concatenate([device * f for device, f in zip(rows, factors, strict=True)]))
        factors = np.array([speed(device @ rates) for device in rows])
    return rates


def speed(predicted: Array) -> float:
    """Return the factor that brings these ratios closest to 1 in least squares."""
    return float(predicted.sum() / (predicted @ predicted))


def one_speed(works: Mapping[str, Workload], runs: Sequence[PublishedRun]) -> list[dict[str, float]]:
    """Cross-validate shared rates; a model is excluded from all runs at once.

    Args:
        works: Workload by model.
        runs: Published runs.

    Returns:
        Predicted / published by model, for every run.
    """
    ratios_by_run: list[dict[str, float]] = [{} for _ in runs]
    for left_out in works:
        models = [[m for m in works if m in run.milliseconds and m != left_out] for run in runs]
        rows = [
            np.array([amounts(works[m], FLOAT) / run.milliseconds[m] for m in names])
            for run, names in zip(runs, models, strict=True)
        ]
        rates = shared_rates(rows)
        for ratios, run, device in zip(ratios_by_run, runs, rows, strict=True):
            if left_out in run.milliseconds:
                time = amounts(works[left_out], FLOAT) @ rates * speed(device @ rates)
                ratios[left_out] = float(time) / run.milliseconds[left_out]
    return ratios_by_run


def by_device(
    works: Mapping[str, Workload], runs: Sequence[PublishedRun], classes: Classes
) -> list[dict[str, float]]:
    """Cross-validate rates of each device alone.

    Args:
        works: Workload by model.
        runs: Published runs.
        classes: Groups of layer classes.

    Returns:
        Predicted / published of the excluded models, for every run.
    """
    fits = [fit_device(works, run.milliseconds, classes) for run in runs]
    return [dict(zip(fit.models, fit.ratios.tolist(), strict=True)) for fit in fits]


def _row(ratios: Sequence[Mapping[str, float]]) -> tuple[str, ...]:
    errors = [{name: abs(ratio - 1) for name, ratio in device.items()} for device in ratios]
    medians = [float(np.median(list(e.values()))) for e in errors if len(e) >= MANY]
    pooled = [error for e in errors for error in e.values()]
    light = [e[name] for e in errors for name in LIGHT if name in e]
    return (
        f"{np.median(medians):.1%}",
        f"{max(medians):.1%}",
        f"{sum(m < TARGET for m in medians)} of {len(medians)}",
        f"{np.quantile(pooled, 0.9):.1%}",
        f"{np.median(light):.1%}",
        f"{np.quantile(light, 0.9):.1%}",
    )


def compare(works: Mapping[str, Workload], runs: Sequence[PublishedRun]) -> Table:
    """Compare all variants.

    Args:
        works: Workload by model.
        runs: Published runs.

    Returns:
        One row per variant: medians over devices with many models, then all excluded models pooled.
    """
    enough = FEWEST_MODELS["float"]
    chosen = [r for r in runs if r.threads == 1 and sum(m in r.milliseconds for m in works) >= enough]
    title = f"leave-one-out errors, {len(chosen)} runs with one thread"
    table = Table("classes", title=title, title_justify="left", box=None)
    for column in ("median", "worst device", f"below {TARGET:.0%}", "p90", "light nets", "their p90"):
        table.add_column(column, justify="right")
    for name, classes in VARIANTS.items():
        table.add_row(name, *_row(by_device(works, chosen, classes)))
    table.add_row("one speed per device", *_row(one_speed(works, chosen)))
    return table


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the comparison.

    Args:
        arguments: The command line; `None` for that of the process.

    Returns:
        The exit code; a `PocketdetError` is printed as one sentence.
    """
    parser = argparse.ArgumentParser(description="Compare layer classes by leave-one-out error.")
    parser.add_argument("--devices", type=Path, required=True, help="folder with the published runs")
    chosen = parser.parse_args(arguments)
    try:
        works = split_works(read_workloads(chosen.devices))["float"]
        Console(highlight=False).print(compare(works, read_runs(chosen.devices)))
    except PocketdetError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
