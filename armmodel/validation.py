"""The model against published times: the networks of ncnn's benchmark, on devices whose core has a model.

    python -m pocketdet.armmodel.validation --devices FOLDER [--out armmodel/validation.json] [--plot FILE]
                                            [--page docs/explanation/arm-cycles.md]

FOLDER holds the published runs and the .param files of the networks. What the file of --out has for a network
is not modelled again. Nothing is fitted here: the one constant of a device, `Device.line_ns`, comes from
`memory_fit`.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict
from rich.console import Console
from rich.table import Table

from pocketdet.armmodel.cores import CORES, Core
from pocketdet.armmodel.devices import DEVICES, Device
from pocketdet.armmodel.instrument import Instrument, find_instrument
from pocketdet.armmodel.modelled import model
from pocketdet.armmodel.page import markdown_table, write_section
from pocketdet.armmodel.subject import NetworkSubject
from pocketdet.benchmarks.predict.published import (
    INPUTS,
    STRUCTURES,
    model_name,
    read_runs,
)
from pocketdet.errors import PocketdetError, UsageError, error_exit_code
from pocketdet.io import atomic_write

PATH = Path(__file__).parent / "validation.json"
SECTION = "validation"


class Point(BaseModel):
    """One network on one core: its modelled cycles and missed lines, or why there are none."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    network: str
    core: str
    precision: str
    cycles: float | None
    lines: int | None = None
    failure: str = ""


class Validation(BaseModel):
    """All networks on all cores.

    Attributes:
        llvm: The version of LLVM whose models were used.
        points: The networks by core.
        ratios: Modelled / published milliseconds by device and network.
    """

    model_config = ConfigDict(extra="forbid")
    llvm: str
    points: list[Point]
    ratios: dict[str, dict[str, float]]

    def compare(self, published: Mapping[str, Mapping[str, float]]) -> None:
        """Compute the ratios from published milliseconds by device and network."""
        compared = {device.name: self._ratios(device, published.get(device.name, {})) for device in DEVICES}
        self.ratios = {name: ratios for name, ratios in compared.items() if ratios}

    def write(self, path: Path, published: Mapping[str, Mapping[str, float]]) -> None:
        """Compute the ratios and write everything into a file. Raises `UsageError`."""
        self.compare(published)
        atomic_write(path, self.model_dump_json(indent=0) + "\n")

    def milliseconds(self, device: Device) -> dict[str, float]:
        """Modelled milliseconds of the networks on a device."""
        return {
            p.network: device.milliseconds(p.cycles, p.lines or 0)
            for p in self.on(device)
            if p.cycles and (p.lines is not None or not device.line_ns)
        }

    def pipeline_ratios(self, device: Device) -> dict[str, float]:
        """The ratios of the cycles over the clock, without memory."""
        ratios = self.ratios.get(device.name, {})
        if not device.line_ns:
            return ratios
        whole, alone = self.milliseconds(device), self.milliseconds(replace(device, line_ns=0.0))
        return {n: ratio * alone[n] / whole[n] for n, ratio in ratios.items() if n in whole}

    def on(self, device: Device) -> list[Point]:
        """The networks as they run on a device."""
        wanted = kernels_core(device), device.precision
        return [p for p in self.points if (p.core, p.precision) == wanted]

    def _ratios(self, device: Device, published: Mapping[str, float]) -> dict[str, float]:
        modelled = sorted(self.milliseconds(device).items())
        return {network: ms / published[network] for network, ms in modelled if network in published}


def kernels_core(device: Device) -> str:
    """The first core with the same model and kernels: the others have its cycles."""
    own = CORES[device.core].cycles_depend_on
    return next(core.name for core in CORES.values() if core.cycles_depend_on == own)


def load_validation(path: Path = PATH) -> Validation:
    """Read a validation. Raises `UsageError` for a missing or damaged file."""
    try:
        return Validation.model_validate_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: cannot be read as modelled and published times: {error}") from error


def errors_of(ratios: Mapping[str, float]) -> tuple[float, float, float]:
    """Median, 90th percentile and greatest of |ratio - 1|."""
    errors = [abs(ratio - 1) for ratio in ratios.values()]
    return float(np.median(errors)), float(np.quantile(errors, 0.9)), max(errors)


def one_factor(ratios: Mapping[str, float]) -> dict[str, float]:
    """The ratios over their median."""
    median = float(np.median(list(ratios.values())))
    return {network: ratio / median for network, ratio in ratios.items()}


def published_times(folder: Path) -> dict[str, dict[str, float]]:
    """Milliseconds of the networks, one thread, by device. Raises `UsageError` if a run is missing."""
    runs = {(run.name, run.cores): run for run in read_runs(folder) if run.threads == 1}
    times = {}
    for device in DEVICES:
        run = runs.get((device.published, device.cores))
        if run is None:
            raise UsageError(f"{folder}: expected the published run {device.published!r}, found none")
        times[device.name] = dict(run.milliseconds)
    return times


def validate(folder: Path, out: Path, cores: Sequence[str], networks: Sequence[str]) -> Validation:
    """Model the networks, and write the file before and after each of them.

    Args:
        folder: The published data.
        out: The file; points that it has are kept if they are of the same LLVM.
        cores: Only these cores, all if empty.
        networks: Only these networks, all if empty.

    Returns:
        Everything that is known now.

    Raises:
        PocketdetError: If the published data or a program is missing. A network that fails is a point.
    """
    instrument = find_instrument()
    known = load_validation(out) if out.exists() else None
    kept = known.points if known and known.llvm == instrument.llvm.version else []
    published = published_times(folder)
    validation = Validation(llvm=instrument.llvm.version, points=list(kept), ratios={})
    validation.write(out, published)  # the constants of devices may have changed
    done = {(p.network, p.core, p.precision) for p in validation.points if p.lines is not None}
    wanted = sorted({(kernels_core(d), d.precision) for d in DEVICES}, key=lambda w: (w[1] == "fp32", w[0]))
    paths = sorted((folder / STRUCTURES).glob("*.param"))
    times = published[DEVICES[0].name]
    paths.sort(key=lambda path: times.get(model_name(path.stem), float("inf")))  # the quickest first
    for core, precision in wanted:
        for path in paths:
            name = model_name(path.stem)
            if (name, core, precision) in done or (cores and core not in cores):
                continue
            if networks and name not in networks:
                continue
            point = _point(path, core, precision, instrument)
            same = (point.network, point.core, point.precision)
            others = [p for p in validation.points if (p.network, p.core, p.precision) != same]
            validation.points = [*others, point]
            validation.write(out, published)
            cycles = f"{point.cycles / 1e6:.2f} M cycles" if point.cycles else point.failure
            print(f"{point.network} on {core}, {precision}: {cycles}", file=sys.stderr, flush=True)
    return validation


def _point(path: Path, core: str, precision: str, instrument: Instrument) -> Point:
    name = model_name(path.stem)
    inputs = {"": INPUTS[path.stem]} if path.stem in INPUTS else {}
    try:
        subject = NetworkSubject(path, None, precision, inputs)
        (modelled,) = model(subject, [CORES[core]], instrument)
    except PocketdetError as error:
        return Point(network=name, core=core, precision=precision, cycles=None, failure=str(error)[:200])
    total = modelled.total
    return Point(network=name, core=core, precision=precision, cycles=total.cycles, lines=total.lines)


def known_errors(core: Core, path: Path = PATH) -> list[str]:
    """What the validation says of a core: a sentence per device whose core has the same model and kernels.

    Args:
        core: The core.
        path: The validation.

    Returns:
        The sentences, none if no published run is of such a core.

    Raises:
        UsageError: If the validation cannot be read.
    """
    validation = load_validation(path)
    sentences = []
    for device in DEVICES:
        ratios = validation.ratios.get(device.name, {})
        if ratios and CORES[device.core].cycles_depend_on == core.cycles_depend_on:
            median, p90, _ = errors_of(ratios)
            sentences.append(
                f"{device.name} ({device.precision}): median error {median:.1%}, 90th percentile {p90:.0%}, "
                f"{len(ratios)} networks"
            )
    return sentences


def summary(validation: Validation) -> Table:
    """A row per device: how many networks, the median ratio, and the errors before and after one factor."""
    title = "modelled / published, one thread, minimum of each run"
    table = Table("device", "core", title=title, title_justify="left", box=None, padding=(0, 1, 0, 0))
    for column in ("networks", "ratio", "median", "p90", "worst", "one factor", "p90"):
        table.add_column(column, justify="right")
    for device in DEVICES:
        ratios = validation.ratios.get(device.name)
        if ratios:
            errors = [f"{error:.1%}" for error in errors_of(ratios)]
            left = [f"{error:.1%}" for error in errors_of(one_factor(ratios))[:2]]
            middle = f"{np.median(list(ratios.values())):.2f}"
            table.add_row(device.name, device.core, str(len(ratios)), middle, *errors, *left)
    return table


def page_section(validation: Validation) -> str:
    """The table of the documentation: the errors by device, and the pipeline without memory beside them."""
    head = ("device", "core, clock, precision", "networks", "ns per line", "median ratio", "median error")
    rows = []
    for device in DEVICES:
        ratios = validation.ratios.get(device.name)
        if ratios:
            median, p90, worst = errors_of(ratios)
            farthest, _ = max(ratios.items(), key=lambda item: abs(item[1] - 1))
            bare = errors_of(validation.pipeline_ratios(device))
            rows.append(
                [
                    device.name,
                    f"{device.core}, {device.ghz:g} GHz, {device.precision}",
                    str(len(ratios)),
                    f"{device.line_ns:g}" if device.line_ns else "",
                    f"{np.median(list(ratios.values())):.2f}",
                    f"{median:.1%}",
                    f"{p90:.0%}",
                    f"{worst:.0%} ({farthest})",
                    f"{bare[0]:.1%}, {bare[1]:.0%}",
                ]
            )
    return markdown_table([*head, "90th percentile", "worst", "pipeline alone: median, 90th"], rows)


def details(validation: Validation) -> Table:
    """A row per network, a column per device: modelled / published."""
    shown = [device for device in DEVICES if validation.ratios.get(device.name)]
    table = Table("network", *(device.name for device in shown), box=None, padding=(0, 1, 0, 0))
    columns = [validation.ratios[device.name] for device in shown]
    for network in sorted({name for column in columns for name in column}):
        cells = (f"{column[network]:.2f}" if network in column else "-" for column in columns)
        table.add_row(network, *cells)
    return table


@error_exit_code
def main(arguments: Sequence[str] | None = None) -> int:
    """Model what is missing and print the tables.

    Args:
        arguments: The command line; `None` for that of the process.

    Returns:
        The exit code; a `PocketdetError` is printed as one sentence.
    """
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--devices", type=Path, required=True, help="folder with the published runs")
    parser.add_argument("--out", type=Path, default=PATH, help="file of the results (%(default)s)")
    parser.add_argument("--core", action="append", default=[], help="only this core; repeatable")
    parser.add_argument("--network", action="append", default=[], help="only this network; repeatable")
    parser.add_argument("--plot", type=Path, help="plot of modelled against published times (.png)")
    parser.add_argument("--page", type=Path, help=f'Markdown file with a section "{SECTION}" to write')
    chosen = parser.parse_args(arguments)
    validation = validate(chosen.devices, chosen.out, chosen.core, chosen.network)
    console = Console(highlight=False)
    console.print(summary(validation), "", details(validation))
    for point in validation.points:
        if point.cycles is None:
            console.print(f"{point.network} on {point.core}: {point.failure}", markup=False)
    if chosen.page:
        write_section(chosen.page, SECTION, page_section(validation))
    if chosen.plot:
        from pocketdet.armmodel.plots import plot_validation

        plot_validation(chosen.plot, validation)
    return 0


if __name__ == "__main__":
    sys.exit(main())
