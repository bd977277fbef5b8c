"""The modelled Table 9: each cell follows from the cycles, and a page gets a row for each detector."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pocketdet.armmodel import table9
from pocketdet.armmodel.detectors import BACKBONES
from pocketdet.armmodel.modelled import Figures
from pocketdet.benchmarks.report.tables import ARM, TABLE_9
from pocketdet.errors import UsageError
from pocketdet.models.zoo.figures import PRECISIONS, Measured, Precision, ZooFigures

PHONE, BY_RATIO, BOARD, LITTLE, PAPER, AP = (3, 4, 5, 8, 9, 10)  # columns of milliseconds
SHARES = (2, 7)


def totals(cycles: float, lines: int) -> list[Figures]:
    """Of frames on two cores that reach half of their limit."""
    return [Figures(cycles, 1, 1, cycles / 2, lines)] * 2


def cells(precision: Precision, cycles: float, lines: int = 0) -> list[str]:
    return table9.row("thundernet-snet49", precision, totals(cycles, lines))


@pytest.mark.parametrize("precision", PRECISIONS)
def test_milliseconds_are_cycles_over_the_clock_and_the_lines(precision: Precision) -> None:
    found = cells(precision, 1e9)
    assert float(found[PHONE]) == pytest.approx(1e3 / table9.PHONE.ghz, abs=0.05)
    assert float(found[BOARD]) == pytest.approx(1e3 / table9.BOARD.ghz, abs=0.05)
    assert float(found[LITTLE]) == pytest.approx(1e3 / table9.LITTLE.ghz, abs=0.5)
    ratio = 2.0 if precision == "fp32" else 1.9
    assert float(found[BY_RATIO]) == pytest.approx(1e3 / 2.84 * ratio, abs=0.5)
    with_lines = cells(precision, 1e9, 1_000_000)
    for column, device in ((PHONE, table9.PHONE), (BOARD, table9.BOARD)):
        assert float(with_lines[column]) - float(found[column]) == pytest.approx(device.line_ns, abs=0.11)
    assert [found[column] for column in SHARES] == ["50%", "50%"]


def test_the_paper_stands_beside_fp32_alone() -> None:
    papers = {precision: cells(precision, 1e9)[PAPER] for precision in PRECISIONS}
    assert float(papers.pop("fp32")) == pytest.approx(1000 / TABLE_9["thundernet-snet49"].fps[ARM], abs=0.05)
    assert set(papers.values()) == {""}


def test_accuracy_is_that_of_the_zoo(monkeypatch: pytest.MonkeyPatch) -> None:
    of_fp16 = Measured(precision="fp16", ap=0.6471, ap50=0.85, bytes=1)
    known = {"thundernet-snet49-fod": ZooFigures.model_construct(measured=(of_fp16,)), "other": None}
    monkeypatch.setattr(table9, "zoo_names", lambda: tuple(known))
    monkeypatch.setattr(table9, "read_figures", known.__getitem__)
    assert [cells(precision, 1e9)[AP] for precision in PRECISIONS] == ["", "64.7", ""]
    assert cells("fp16", 1e9)[0] == "SNet49, fp16"
    known.pop("thundernet-snet49-fod")
    assert [cells("fp16", 1e9)[column] for column in (0, AP)] == ["SNet49 (random weights), fp16", ""]


def test_the_table_has_a_row_for_each_detector_and_precision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def made(bundles: Path, instrument: object) -> Iterator[tuple[str, Precision, list[Figures]]]:
        for arch in BACKBONES:
            for precision in PRECISIONS:
                yield arch, precision, totals(1e7, 0)

    monkeypatch.setattr(table9, "table_9", made)
    monkeypatch.setattr(table9, "find_instrument", lambda: None)
    monkeypatch.setattr(table9, "zoo_names", lambda: tuple(f"{arch}-voc" for arch in BACKBONES))
    monkeypatch.setattr(table9, "read_figures", lambda name: None)
    page = tmp_path / "page.md"
    page.write_text(f"before\n<!-- {table9.SECTION} -->\nold\n<!-- end of {table9.SECTION} -->\nafter\n")
    assert table9.main(["--bundles", str(tmp_path), "--page", str(page)]) == 0
    names = [line.split(" | ")[0] for line in page.read_text().splitlines() if line.startswith("| SNet")]
    assert names == [f"| SNet{n}, {p}" for n in (49, 146, 535) for p in PRECISIONS]
    assert "old" not in page.read_text()
    assert capsys.readouterr().out == ""
    assert table9.main(["--bundles", str(tmp_path)]) == 0
    assert capsys.readouterr().out.strip() in page.read_text()


def test_without_the_programs_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing() -> None:
        raise UsageError("there is no qemu that counts blocks; build it with: make arm-model")

    monkeypatch.setattr(table9, "find_instrument", missing)
    assert table9.main(["--bundles", str(tmp_path / "none")]) == 2
    assert capsys.readouterr().err == (
        "error: there is no qemu that counts blocks; build it with: make arm-model\n"
    )
    assert not (tmp_path / "none").exists()
