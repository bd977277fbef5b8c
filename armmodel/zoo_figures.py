"""Write the figures of the zoo: measured accuracy, cost, and modelled times, a .json file beside each card.

    pocketdet val --zoo --data test.json --images images --out FOLDER
    python -m pocketdet.armmodel.zoo_figures --accuracy FOLDER --bundles FOLDER [--only NAME] [--no-times]

The bundles, and what was modelled of them, are kept in their folder; those that it lacks are exported first.
A frame is the first standard frame of benchmarks, from image to boxes, with all RoIs that the detector finds
there.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from pocketdet.armmodel.cores import CORES
from pocketdet.armmodel.detectors import make_bundle, standard_frame_files
from pocketdet.armmodel.instrument import Instrument, find_instrument
from pocketdet.armmodel.kept_totals import frame_totals
from pocketdet.armmodel.table9 import LITTLE, PHONE, arithmetic_of
from pocketdet.errors import UsageError, error_exit_code
from pocketdet.evaluation.report import AccuracyReport
from pocketdet.io import atomic_write
from pocketdet.models.build import AnyDetector, config_of
from pocketdet.models.checkpoint import load_detector
from pocketdet.models.counting import Cost, count, layer_cost
from pocketdet.models.one_stage import OneStageDetector
from pocketdet.models.zoo import zoo_names, zoo_weights
from pocketdet.models.zoo.figures import (
    PRECISIONS,
    Failed,
    Measured,
    ModelledTime,
    Precision,
    ZooFigures,
    figures_path,
)
from pocketdet.runtime.bundle import hash_file

DEVICES: Final = (PHONE, LITTLE)


def zoo_figures(name: str, accuracy: Path, bundles: Path, instrument: Instrument | None) -> ZooFigures:
    """The figures of one detector.

    Args:
        name: Its name in the zoo.
        accuracy: Folder with the result of `pocketdet val --zoo`.
        bundles: Folder of the bundles; those that are missing are exported into it.
        instrument: The programs that model, None for no times.

    Raises:
        UsageError: If the accuracy is missing or of other weights.
        PocketdetError: If an export or a program fails.
    """
    weights = zoo_weights(name)
    report = read_accuracy(accuracy / f"{name}.json", hash_file(weights).sha256)
    measured = tuple(measured_rows(report))
    detector = load_detector(weights)
    config, cost = config_of(detector), _cost(detector)
    return ZooFigures(
        sha256=report.subjects[0].sha256,
        architecture=config.arch,
        detector="one-stage" if isinstance(detector, OneStageDetector) else "two-stage",
        input_size=config.input_size,
        classes=len(config.class_names),
        macs=cost.total,
        parameters=cost.parameters,
        data=f"{report.data.coverage} of {report.data.file}",
        measured=measured,
        failed=tuple(failed_rows(report)),
        modelled=tuple(_modelled(name, [row.precision for row in measured], bundles, instrument))
        if instrument
        else (),
    )


def read_accuracy(path: Path, sha256: str) -> AccuracyReport:
    """What `pocketdet val --zoo` wrote. Raises `UsageError` unless it is of the weights of that hash."""
    try:
        report = AccuracyReport.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise UsageError(
            f"{path}: cannot be read as a result of pocketdet val --zoo --out {path.parent}: run it first"
        ) from error
    if report.subjects[0].sha256 != sha256:
        raise UsageError(f"{path}: was measured with other weights: run pocketdet val --zoo again")
    return report


def measured_rows(report: AccuracyReport) -> Iterator[Measured]:
    """The rows of ncnn on this machine, by precision."""
    for precision in PRECISIONS:
        for row in report.subjects:
            is_wanted = row.form == f"ncnn-{precision}" and row.emulated is None
            if is_wanted and row.ap is not None and row.ap50 is not None and row.bytes:
                yield Measured(precision=precision, ap=row.ap, ap50=row.ap50, bytes=row.bytes)


def failed_rows(report: AccuracyReport) -> Iterator[Failed]:
    """What could not be measured in ncnn, by precision."""
    for precision in PRECISIONS:
        for one in report.failed:
            if one.form == f"ncnn-{precision}":
                yield Failed(precision=precision, reason=one.reason)


def _cost(detector: AnyDetector) -> Cost:
    """Of what is exported: a one-stage detector without what only training needs."""
    if isinstance(detector, OneStageDetector):
        return layer_cost(detector.for_inference(), config_of(detector).input_size)
    return count(detector)


def _modelled(
    name: str, precisions: Sequence[Precision], bundles: Path, instrument: Instrument
) -> Iterator[ModelledTime]:
    frame = standard_frame_files(bundles)[0]
    cores = [CORES[device.core] for device in DEVICES]
    for precision in precisions:
        arithmetic = arithmetic_of(precision)
        path = make_bundle(name, bundles, int8=precision == "int8")
        totals = frame_totals(path, frame, arithmetic, cores, instrument)
        for device, total in zip(DEVICES, totals, strict=True):
            time = device.milliseconds(total.cycles, total.lines, arithmetic)
            yield ModelledTime(
                precision=precision, core=device.core, device=device.name, milliseconds=round(time, 2)
            )


@error_exit_code
def main(arguments: Sequence[str] | None = None) -> int:
    """Write the figures.

    Args:
        arguments: The command line; `None` for that of the process.

    Returns:
        The exit code; a `PocketdetError` is written as one sentence.
    """
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--accuracy", type=Path, required=True, help="folder that pocketdet val --zoo wrote")
    parser.add_argument("--bundles", type=Path, required=True, help="folder that keeps the bundles")
    parser.add_argument("--only", choices=zoo_names(), help="one detector; all by default")
    parser.add_argument("--no-times", action="store_true", help="model no times, which takes minutes")
    chosen = parser.parse_args(arguments)
    instrument = None if chosen.no_times else find_instrument()
    for name in [chosen.only] if chosen.only else zoo_names():
        found = zoo_figures(name, chosen.accuracy, chosen.bundles, instrument)
        atomic_write(figures_path(name), found.to_json())
        sys.stdout.write(f"wrote {figures_path(name)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
