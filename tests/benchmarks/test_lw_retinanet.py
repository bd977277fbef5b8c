"""The paper's Figure 6 by time: which bundles it accepts, its table and its plot."""

from pathlib import Path

import cv2
import pytest
from rich.console import Console

from pocketdet.benchmarks.interleaved import Ratio, Summary
from pocketdet.benchmarks.lw_retinanet import Timed, paper_row, timed_table, write_figure
from pocketdet.errors import UsageError
from pocketdet.models.counting import TABLE_3
from pocketdet.runtime.detector import Detector

TIMED = [
    Timed(row, 0.95 * row.gflops, Summary(10 * row.gflops, 11 * row.gflops, 0, 0, 0), Ratio(1.25, 1.2, 1.3))
    for row in TABLE_3
]


def test_a_bundle_of_another_model_is_named(tiny_one_stage_template: Path) -> None:
    with (
        Detector(tiny_one_stage_template, engine="ncnn") as detector,
        pytest.raises(UsageError, match="is no row of the paper's Table 3: retinanet-r50 at 800, "),
    ):
        paper_row(detector)


def test_the_table_fits_a_terminal() -> None:
    console = Console(width=80)
    with console.capture() as capture:
        console.print(timed_table(TIMED, "title"))
    lines = capture.get().splitlines()
    assert len(lines) == 2 + len(TABLE_3)
    assert " ".join(lines[2].split()) == "retinanet-r50 800 148.2 156 1560 1716 1.25 [1.20, 1.30] 35.7"
    assert "…" not in capture.get()


def test_the_plot_is_drawn(tmp_path: Path) -> None:
    write_figure(tmp_path / "six.png", TIMED)
    plot = cv2.imread(str(tmp_path / "six.png"))
    assert plot is not None
    assert plot.shape[1] == 1200
    assert plot.std() > 5
