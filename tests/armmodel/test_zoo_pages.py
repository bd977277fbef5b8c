"""Figures and pages of the zoo follow from the report of `val --zoo`, the models and the records."""

from pathlib import Path
from types import SimpleNamespace

import cv2
import pytest
from accuracy_reports import DATA, SHA, variant
from bench_records import record

from pocketdet.armmodel import zoo_figures, zoo_page
from pocketdet.benchmarks.record import Record
from pocketdet.errors import UsageError
from pocketdet.evaluation.report import AccuracyReport, FailedVariant
from pocketdet.models.zoo import FOD, zoo_weights
from pocketdet.models.zoo.figures import Failed, Measured, ModelledTime, ZooFigures
from pocketdet.runtime.bundle import hash_file

REPORT = AccuracyReport(
    schema_version=1,
    data=DATA,
    subjects=(
        variant("pytorch", 0.5),
        variant("ncnn-fp16", 0.52),
        variant("ncnn-fp32", 0.51),
        variant("ncnn-fp16", 0.1, "cortex-a76"),
    ),
    failed=(
        FailedVariant(target="net", form="onnx", reason="no opset"),
        FailedVariant(target="net", form="ncnn-int8", reason="a check failed"),
    ),
    tools={},
)


INT8_FAILED = Failed(precision="int8", reason="a check failed")


def figures(name: str, macs: int, ap: float) -> ZooFigures:
    return ZooFigures(
        sha256=SHA,
        architecture=name,
        detector="two-stage",
        input_size=(320, 320),
        classes=31,
        macs=macs,
        parameters=1,
        data="all 9 images of test.json",
        measured=(
            Measured(precision="fp32", ap=ap, ap50=0.9, bytes=4_000_000),
            Measured(precision="fp16", ap=ap, ap50=0.9, bytes=2_000_000),
        ),
        failed=(INT8_FAILED,),
        modelled=(
            ModelledTime(precision="fp16", core="cortex-a76", device="Snapdragon 855+", milliseconds=8.0),
        ),
    )


def x86(name: str, created: str) -> Record:
    device = {"architecture": "x86_64", "name": "AMD EPYC"}
    return record(bundle={"name": name}, device=device, created=created)


def test_rows_are_those_of_ncnn_on_this_machine() -> None:
    rows = list(zoo_figures.measured_rows(REPORT))
    assert [(row.precision, row.ap) for row in rows] == [("fp32", 0.51), ("fp16", 0.52)]
    assert list(zoo_figures.failed_rows(REPORT)) == [INT8_FAILED]


def test_figures_without_times(tmp_path: Path) -> None:
    digest = hash_file(zoo_weights(FOD)).sha256
    subjects = tuple(row.model_copy(update={"sha256": digest}) for row in REPORT.subjects)
    (tmp_path / f"{FOD}.json").write_text(REPORT.model_copy(update={"subjects": subjects}).to_json())
    found = zoo_figures.zoo_figures(FOD, tmp_path, tmp_path, None)
    assert (found.sha256, found.architecture, found.detector) == (digest, "thundernet-snet49", "two-stage")
    assert (found.modelled, found.failed) == ((), (INT8_FAILED,))
    assert [row.ap for row in found.measured] == [0.51, 0.52]
    assert found.macs > 200e6
    assert not list(tmp_path.glob("*.pocketdet"))


def test_accuracy_of_other_weights_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.json"
    with pytest.raises(UsageError, match=r"net\.json: cannot be read as a result of pocketdet val --zoo"):
        zoo_figures.read_accuracy(path, SHA)
    path.write_text(REPORT.to_json())
    assert zoo_figures.read_accuracy(path, SHA) == REPORT
    with pytest.raises(UsageError, match="was measured with other weights"):
        zoo_figures.read_accuracy(path, "b" * 64)


def test_rows_are_ordered_and_have_the_last_record_of_their_name() -> None:
    records = [x86("small", "2026-11-21T10:00:00Z"), x86("small", "2026-11-22T10:00:00Z")]
    rows = zoo_page.zoo_rows({"large": figures("l", 200, 0.7), "small": figures("s", 100, 0.6)}, records)
    assert [(row.name, row.precision) for row in rows] == [
        (name, precision) for name in ("small", "large") for precision in ("fp32", "fp16", "int8")
    ]
    assert [row.measured for row in rows] == [records[1], *[None] * 5]
    assert [row.big_ms for row in rows] == [None, 8.0, None] * 2
    assert rows[1].cells("../")[:8] == ["`small`", "fp16", "60.0", "90.0", "2.0", "0 M", "8.0", "-"]
    assert rows[2].cells("../")[1:9] == ["int8", "-", "-", "-", "0 M", "-", "-", "-"]
    assert rows[1].cells("../")[-1] == "[card](../models/zoo/small.md)"


def test_the_pages_and_the_picture_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known: dict[str, ZooFigures | None] = {"small": figures("s", 100, 0.6), "new": None}
    monkeypatch.setattr(zoo_page, "zoo_names", lambda: tuple(known))
    monkeypatch.setattr(zoo_page, "read_figures", known.__getitem__)
    entries = [SimpleNamespace(record=x86("small", "2026-11-21T10:00:00Z"))]
    monkeypatch.setattr(zoo_page, "read_registry", lambda folder: entries)
    for page in ("README.md", "docs/guides/zoo.md"):
        path = tmp_path / page
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("before <!-- zoo -->\nold\n<!-- end of zoo --> after\n")
    (tmp_path / "docs" / "images").mkdir()
    assert zoo_page.main(tmp_path) == 0
    readme, guide = ((tmp_path / page).read_text() for page in ("README.md", "docs/guides/zoo.md"))
    assert readme.startswith("before <!-- zoo -->\n| weights |")
    assert readme.endswith("(docs/images/zoo.png)\n<!-- end of zoo --> after\n")
    assert readme.count("| `small` |") == 1
    assert guide.count("| `small` |") == 3
    assert "\n\n`small`, int8: a check failed.\n\n![AP against" in guide
    known["small"] = figures("s", 100, 0.6).model_copy(update={"modelled": ()})
    assert zoo_page.main(tmp_path) == 0
    assert "`small`: times not modelled yet.\n\n![" in (tmp_path / "README.md").read_text()
    assert guide.endswith("(../images/zoo.png)\n<!-- end of zoo --> after\n")
    assert "int8:" not in readme
    assert "[card](../../models/zoo/small.md)" in guide
    assert "AMD EPYC virtual machine" in readme
    assert cv2.imread(str(tmp_path / "docs/images/zoo.png")).shape[1] == 1200


def test_a_page_that_is_missing_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(zoo_page, "read_figures", lambda name: figures("s", 100, 0.6))
    (tmp_path / "benchmarks" / "results").mkdir(parents=True)
    assert zoo_page.main(tmp_path) == 2
    assert "cannot be read" in capsys.readouterr().err


def test_nothing_is_written_without_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(zoo_page, "read_figures", lambda name: None)
    page = tmp_path / "README.md"
    page.write_text("<!-- zoo -->\nold\n<!-- end of zoo -->\n")
    assert zoo_page.main(tmp_path) == 2
    assert "no detector of the zoo has figures" in capsys.readouterr().err
    assert "old" in page.read_text()
