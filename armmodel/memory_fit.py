"""Fit the one constant of each device, the time of a line of memory, to its published times.

    python -m pocketdet.armmodel.memory_fit --devices FOLDER

It prints what belongs into `devices.py` as `line_ns`, with the errors against published times before and
after, and those of networks that the fit had not seen: each network in turn is left out. Networks have no
constant. Nothing is modelled anew: the cycles and lines are those of validation.json.
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

from pocketdet.armmodel.devices import DEVICES, Device, milliseconds
from pocketdet.armmodel.validation import Validation, load_validation, published_times
from pocketdet.errors import error_exit_code

FEWEST = 6  # networks
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Times:
    """The networks of a device, as shares of their published times.

    Attributes:
        device: The device.
        core: All modelled cycles over the clock.
        line: A nanosecond for each line that misses in the caches.
    """

    device: Device
    core: Values
    line: Values

    @classmethod
    def of(cls, device: Device, validation: Validation, published: Mapping[str, float]) -> "Times":
        """The networks whose lines are known and whose times are published."""
        points = [p for p in validation.on(device) if p.cycles and p.lines and p.network in published]
        times = np.array([published[p.network] for p in points])
        core = np.array([milliseconds(p.cycles or 0.0, device.ghz, 0, 0.0) for p in points])
        line = np.array([milliseconds(0.0, device.ghz, p.lines or 0, 1.0) for p in points])
        return cls(device, core / times, line / times)

    @property
    def wanted(self) -> Values:
        """The nanoseconds for a line with which each network has its published time."""
        return (1 - self.core) / self.line

    def fit(self) -> float:
        """The nanoseconds for a line with the least sum of errors, to a tenth; 0 if their median rises."""
        found = round(weighted_median(self.wanted, self.line), 1)
        return found if _median_error(self.ratios(found)) < _median_error(self.core) else 0.0

    def ratios(self, line_ns: float) -> Values:
        """Modelled over published times."""
        return self.core + line_ns * self.line

    def left_out(self) -> Values:
        """The ratio of each network with the constant that the others give; without one if there is none."""
        if not self.fit():
            return self.core
        wanted, line = self.wanted, self.line
        fits = [weighted_median(np.delete(wanted, i), np.delete(line, i)) for i in range(len(line))]
        return self.core + np.array(fits) * line


def weighted_median(values: Values, weights: Values) -> float:
    """The x of at least 0 that has the least sum of `weights * abs(x - values)`."""
    order = np.argsort(values)
    reached = np.cumsum(weights[order]) >= weights.sum() / 2
    return max(0.0, float(values[order][np.argmax(reached)]))


def all_times(validation: Validation, published: Mapping[str, Mapping[str, float]]) -> list[Times]:
    """The devices that have enough networks to fit."""
    times = [Times.of(device, validation, published.get(device.name, {})) for device in DEVICES]
    return [t for t in times if len(t.core) >= FEWEST]


@error_exit_code
def main(arguments: Sequence[str] | None = None) -> int:
    """Print the constants and the errors.

    Args:
        arguments: The command line; `None` for that of the process.

    Returns:
        The exit code; a `PocketdetError` is printed as one sentence.
    """
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--devices", type=Path, required=True, help="folder with the published runs")
    chosen = parser.parse_args(arguments)
    Console(highlight=False).print(_table(all_times(load_validation(), published_times(chosen.devices))))
    return 0


def _table(devices: Sequence[Times]) -> Table:
    """A row per device and one for all: the constants, and median and 90th percentile of the errors."""
    table = Table("device", box=None, padding=(0, 1, 0, 0))
    for column in ("networks", "line_ns", "now", "pipeline alone", "one factor", "with memory", "left out"):
        table.add_column(column, justify="right")
    columns = [
        [t.core for t in devices],
        [t.core / np.median(t.core) for t in devices],
        [t.ratios(t.fit()) for t in devices],
        [t.left_out() for t in devices],
    ]
    for i, t in enumerate(devices):
        constants = str(len(t.core)), f"{t.fit():g}", f"{t.device.line_ns:g}"
        table.add_row(t.device.name, *constants, *(_errors(column[i]) for column in columns))
    if devices:
        count = str(sum(len(t.core) for t in devices))
        table.add_row("all", count, "", "", *(_errors(np.concatenate(column)) for column in columns))
    return table


def _median_error(ratios: Values) -> float:
    return float(np.median(abs(ratios - 1)))


def _errors(ratios: Values) -> str:
    return f"{_median_error(ratios):.1%}, {np.quantile(abs(ratios - 1), 0.9):.0%}"


if __name__ == "__main__":
    sys.exit(main())
