"""Fit the rates by which an export predicts what int8 gains on ARM cores, to modelled cycles of detectors.

    python -m pocketdet.armmodel.int8_rates BUNDLE... --kept FOLDER [--out FILE]

Each bundle, in fp32, and its int8 copy are modelled in half precision and in fp32; of the copy that is the
arithmetic of the layers that are not int8. FOLDER keeps what was modelled. The rates of a group of layers are
fitted by non-negative least squares of the errors of their cycles, relative for large layers. The command
prints how many times as fast each bundle is in int8 as in fp16: modelled, and predicted by the rates of the
other bundles. Nothing is measured.
"""

import argparse
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy.optimize import nnls

from pocketdet.armmodel.cores import find_cores
from pocketdet.armmodel.instrument import Instrument, find_instrument
from pocketdet.armmodel.int8_cycles import Cycles, int8_copy, int8_copy_cycles, layer_cycles
from pocketdet.errors import UsageError, error_exit_code
from pocketdet.export.quantization.arm_gain import (
    RATES,
    Amounts,
    ArmRates,
    CoreRates,
    LayerWork,
    layer_works,
    predict_gain,
)
from pocketdet.io import atomic_write
from pocketdet.runtime.bundle import Bundle, load_bundle
from pocketdet.runtime.ncnn_graph import infer_shapes, read_graph

SETUPS: Final = (("fp16", False), ("fp16", True), ("fp32", True), ("fp32", False))
"""What layers that are not int8 compute in, and whether others are int8; `CoreGain` has the first three."""

_SMALL: Final = 0.002  # of a network's cycles: errors of smaller layers are not relative
_DIGITS: Final = 4


@dataclass(frozen=True)
class Sample:
    """One detector on one core: the work of its layers, and their cycles in each of `SETUPS`."""

    name: str
    works: tuple[LayerWork, ...]
    cycles: tuple[Cycles, ...]

    @property
    def modelled(self) -> list[float]:
        """The cycles of all layers in each of `SETUPS`."""
        return [sum(found[work.name] for work in self.works) for found in self.cycles]


def read_samples(
    bundles: Sequence[Path], core_names: Sequence[str], instrument: Instrument, kept: Path
) -> dict[str, list[Sample]]:
    """Model detectors.

    Args:
        bundles: Their bundles in fp32.
        core_names: Names of the cores.
        instrument: The programs that model.
        kept: A folder that keeps what was modelled.

    Returns:
        The samples of each core.

    Raises:
        UsageError: If a bundle is not in fp32.
        PocketdetError: If a program fails.
    """
    cores = find_cores(core_names)
    samples: defaultdict[str, list[Sample]] = defaultdict(list)
    for path in bundles:
        with load_bundle(path) as bundle:
            if bundle.manifest.layout.weight_storage != "fp32":
                raise UsageError(f"{path}: expected a bundle in fp32, of which the int8 copy is made")
            works = tuple(_works(bundle))
            found = {
                (others, False): layer_cycles(bundle, others, cores, instrument, kept)
                for others in ("fp16", "fp32")
            }
            copy = int8_copy_cycles(bundle, ("fp16", "fp32"), cores, instrument, kept)
        found |= {(others, True): cycles for others, cycles in copy.items()}
        for core in cores:
            cycles = tuple(found[setup][core.name] for setup in SETUPS)
            samples[core.name].append(Sample(bundle.manifest.name, works, cycles))
    return dict(samples)


def _works(bundle: Bundle) -> Iterator[LayerWork]:
    """The work of the layers of the int8 copy, named "graph/layer"."""
    for name, spec in bundle.manifest.graphs.by_name().items():
        graph = read_graph(bundle.path(spec.param), bundle.path(spec.bin))
        inputs = spec.input_shapes(bundle.manifest.max_rois)
        copy = int8_copy(graph, infer_shapes(graph, inputs))
        for work in layer_works(copy, infer_shapes(copy, inputs)):
            yield LayerWork(f"{name}/{work.name}", work.group, work.amounts, work.int8)


def fit_core(core: str, samples: Sequence[Sample]) -> CoreRates:
    """Fit the rates of one core, and again without each sample in turn for the errors.

    Args:
        core: Its name.
        samples: Of this core, two or more.
    """
    found = list(left_out(core, samples))
    errors = [abs(wrong - 1) for _, wrong in found]
    return CoreRates(
        core=core,
        rates=fit_rates(samples),
        median_error=round(float(np.median(errors)), _DIGITS),
        largest_error=round(max(errors), _DIGITS),
        networks=len({sample.name for sample, _ in found}),
    )


def left_out(core: str, samples: Sequence[Sample]) -> Iterator[tuple[Sample, float]]:
    """Each sample twice, and the gains of int8 that the others predict over the modelled ones.

    The first is that with other layers in half precision, the second in fp32. A sample of which a layer is in
    no other is left out.
    """
    for i, sample in enumerate(samples):
        rates = _rates(core, fit_rates([*samples[:i], *samples[i + 1 :]]))
        half, *modelled = sample.modelled[:3]
        for gain in predict_gain(sample.works, rates):
            for predicted, true in zip((gain.int8, gain.int8_fp32), modelled, strict=True):
                yield sample, (gain.fp16 / predicted) / (half / true)


def _rates(core: str, rates: dict[str, dict[str, Amounts]]) -> ArmRates:
    fitted = CoreRates(core=core, rates=rates, median_error=0.0, largest_error=0.0, networks=0)
    return ArmRates(unit="", llvm="", cores=(fitted,))


def fit_rates(samples: Iterable[Sample]) -> dict[str, dict[str, Amounts]]:
    """Cycles per unit of each amount, by kind and group of the layers that the samples have."""
    rows: defaultdict[tuple[str, str], list[tuple[LayerWork, float, float]]] = defaultdict(list)
    for sample in samples:
        for (others, int8), found, total in zip(SETUPS, sample.cycles, sample.modelled, strict=True):
            for work in sample.works:
                cycles = found[work.name]
                weight = 1 / max(cycles, _SMALL * total)
                rows[work.kind(others, int8=int8), work.group].append((work, cycles, weight))
    rates: defaultdict[str, dict[str, Amounts]] = defaultdict(dict)
    for (kind, group), layers in sorted(rows.items()):
        rates[kind][group] = _solve(layers)
    return dict(rates)


def _solve(layers: Sequence[tuple[LayerWork, float, float]]) -> Amounts:
    weights = np.array([weight for *_, weight in layers])
    amounts = np.array([work.amounts for work, *_ in layers]) * weights[:, None]
    norms = np.linalg.norm(amounts, axis=0)
    scale = np.where(norms > 0, norms, 1.0)  # so that the units do not matter
    found, _ = nnls(amounts / scale, np.array([cycles for _, cycles, _ in layers]) * weights)
    per_mac, per_read, per_written = (float(f"{rate:.{_DIGITS}g}") for rate in found / scale)
    return per_mac, per_read, per_written


def print_errors(samples: Mapping[str, Sequence[Sample]], console: Console) -> None:
    """Print the gains of every bundle."""
    table = Table("core", "network", box=None)
    for column in (
        "fp16, M cycles",
        "int8",
        "modelled",
        "predicted",
        "int8, others fp32",
        "modelled",
        "predicted",
    ):
        table.add_column(column, justify="right")
    for core, every in samples.items():
        wrong: defaultdict[str, list[float]] = defaultdict(list)
        for sample, ratio in left_out(core, every):
            wrong[sample.name].append(ratio)
        for sample in every:
            half, *others = sample.modelled[:3]
            cells = [f"{half / 1e6:.1f}"]
            for cycles, ratio in zip(others, wrong.get(sample.name) or (np.nan, np.nan), strict=True):
                cells += [f"{cycles / 1e6:.1f}", f"{half / cycles:.2f}", f"{half / cycles * ratio:.2f}"]
            table.add_row(core, sample.name, *cells)
    console.print(table)


@error_exit_code
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns 0, or 2 for bad input."""
    parser = argparse.ArgumentParser(prog="int8_rates", description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("bundles", nargs="+", type=Path, metavar="BUNDLE", help="a bundle in fp32")
    parser.add_argument("--kept", required=True, type=Path, help="folder that keeps what was modelled")
    parser.add_argument("--core", nargs="+", default=["cortex-a76", "cortex-a55"])
    parser.add_argument("--out", type=Path, default=RATES)
    given = parser.parse_args(arguments)
    if len(given.bundles) < 2:
        raise UsageError("two bundles or more are needed, so that each can be left out")
    instrument = find_instrument()
    given.kept.mkdir(parents=True, exist_ok=True)
    samples = read_samples(given.bundles, given.core, instrument, given.kept)
    print_errors(samples, Console(highlight=False, width=160))
    cores = tuple(fit_core(core, found) for core, found in samples.items())
    fitted = ArmRates(unit="modelled cycles", llvm=instrument.llvm.version, cores=cores)
    atomic_write(given.out, fitted.model_dump_json(indent=1) + "\n")
    sys.stdout.write(f"wrote {given.out}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
