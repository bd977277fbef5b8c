"""ThunderNet's Table 9, modelled: three backbones in three precisions on devices, beside the paper's times.

    python -m pocketdet.armmodel.table9 --bundles FOLDER [--page docs/explanation/arm-cycles.md]

A backbone is a detector of the zoo where that has one, else it has random weights. FOLDER keeps the bundles,
and what was modelled of them; those that it lacks are exported first. A frame is the first standard frame of
benchmarks, from image to boxes, with 200 RoIs. The table goes to standard output, or into a page.
"""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from pocketdet.armmodel.cores import CORES
from pocketdet.armmodel.detectors import BACKBONES, make_bundle, standard_frame_files
from pocketdet.armmodel.devices import SNAPDRAGON_845, find_devices
from pocketdet.armmodel.instrument import Instrument, find_instrument
from pocketdet.armmodel.kept_totals import frame_totals
from pocketdet.armmodel.modelled import Figures
from pocketdet.armmodel.page import table_parser, write_table
from pocketdet.benchmarks.report.tables import ARM, TABLE_9
from pocketdet.models.zoo import zoo_names
from pocketdet.models.zoo.figures import PRECISIONS, Precision, read_figures

SECTION: Final = "table 9"
PHONE, BOARD, LITTLE = find_devices(["855+", "Pi 5", "CM4"])
_CORES: Final = (CORES[PHONE.core], CORES[LITTLE.core])
_HEAD: Final = (
    "detector",
    "A76: M cycles",
    "of the limit",
    f"ms, {PHONE.name}",
    f"ms, {SNAPDRAGON_845.name} by ratio",
    f"ms, {BOARD.name}",
    "A55: M cycles",
    "of the limit",
    f"ms, {LITTLE.name}",
    f"paper: ms, {ARM}",
    "AP, FOD-A",
)


def table_9(bundles: Path, instrument: Instrument) -> Iterator[tuple[str, Precision, list[Figures]]]:
    """Model the detectors.

    Args:
        bundles: Folder of the bundles; those that are missing are exported into it.
        instrument: The programs that do it.

    Yields:
        Architecture, precision, and the total of each core of the table.

    Raises:
        PocketdetError: If an export or a program fails.
    """
    frame = standard_frame_files(bundles)[0]
    for arch in BACKBONES:
        for precision in PRECISIONS:
            path = make_bundle(_detector(arch), bundles, int8=precision == "int8")
            yield arch, precision, frame_totals(path, frame, arithmetic_of(precision), _CORES, instrument)


def row(arch: str, precision: Precision, totals: Sequence[Figures]) -> list[str]:
    """The cells of one detector in one precision.

    Args:
        arch: Its architecture.
        precision: One of `PRECISIONS`.
        totals: Of its frame on the Cortex-A76 and on the Cortex-A55.

    Returns:
        A cell per column. The paper's time stands beside fp32. Random weights have no AP.
    """
    big, little = totals
    arithmetic = arithmetic_of(precision)
    random = " (random weights)" if _detector(arch) == arch else ""
    phone, by_ratio, board = (
        device.milliseconds(big.cycles, big.lines, arithmetic) for device in (PHONE, SNAPDRAGON_845, BOARD)
    )
    return [
        f"{arch.removeprefix('thundernet-').replace('snet', 'SNet')}{random}, {precision}",
        f"{big.cycles / 1e6:.1f}",
        f"{big.share_of_limit or 0:.0%}",
        f"{phone:.1f}",
        f"{by_ratio:.0f}",
        f"{board:.1f}",
        f"{little.cycles / 1e6:.1f}",
        f"{little.share_of_limit or 0:.0%}",
        f"{LITTLE.milliseconds(little.cycles, little.lines, arithmetic):.0f}",
        f"{1000 / TABLE_9[arch].fps[ARM]:.1f}" if precision == "fp32" else "",
        _ap(arch, precision),
    ]


def _detector(arch: str) -> str:
    """The first detector of the zoo of an architecture, whose name it begins with; else the architecture."""
    return next((name for name in zoo_names() if name.startswith(f"{arch}-")), arch)


def _ap(arch: str, precision: Precision) -> str:
    """AP in percent of the detector of an architecture, "" if it was not measured."""
    detector = _detector(arch)
    figures = read_figures(detector) if detector != arch else None
    measured = figures.accuracy(precision) if figures else None
    return f"{100 * measured.ap:.1f}" if measured else ""


def arithmetic_of(precision: Precision) -> str:
    """What ncnn computes in, but for layers in int8."""
    return "fp32" if precision == "fp32" else "fp16"


def _rows(bundles: Path) -> Iterator[list[str]]:
    for arch, precision, totals in table_9(bundles, find_instrument()):
        yield row(arch, precision, totals)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the table.

    Args:
        arguments: The command line; `None` for that of the process.

    Returns:
        The exit code; a `PocketdetError` is written as one sentence.
    """
    chosen = table_parser(__doc__, SECTION).parse_args(arguments)
    return write_table(chosen.page, SECTION, _HEAD, _rows(chosen.bundles))


if __name__ == "__main__":
    sys.exit(main())
