"""A kept row counts as long as its weights, data, tools and, for int8, calibration images are the same."""

from pathlib import Path

import pytest
from accuracy_reports import DATA, SHA, variant

from pocketdet.evaluation.kept_results import CALIBRATION, KeptResults
from pocketdet.evaluation.report import AccuracyReport, measuring_tools


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """fp32 and int8 of a detector."""
    subjects = (variant("ncnn-fp32", 0.5), variant("ncnn-int8", 0.4))
    tools = measuring_tools() | {CALIBRATION: "9 images"}
    report = AccuracyReport(schema_version=1, data=DATA, subjects=subjects, tools=tools)
    (tmp_path / "net.json").write_text(report.to_json())
    return tmp_path / "net.json"


@pytest.mark.parametrize(
    ("calibration", "forms"),
    [
        ("9 images", ["ncnn-fp32", "ncnn-int8"]),
        (None, ["ncnn-fp32", "ncnn-int8"]),
        ("8 images", ["ncnn-fp32"]),
    ],
)
def test_int8_depends_on_the_calibration(path: Path, calibration: str | None, forms: list[str]) -> None:
    kept = KeptResults.read(path, "net", SHA, DATA, calibration)
    assert list(kept.rows) == forms
    assert kept.tools[CALIBRATION] == (calibration or "9 images")


def test_other_weights_data_and_tools_start_anew(path: Path) -> None:
    assert not KeptResults.read(path, "net", "b" * 64, DATA, None).rows
    assert not KeptResults.read(path, "net", SHA, DATA.model_copy(update={"pictures": 8}), None).rows
    report = AccuracyReport.model_validate_json(path.read_text())
    path.write_text(report.model_copy(update={"tools": {"ncnn": "older"}}).to_json())
    assert not KeptResults.read(path, "net", SHA, DATA, None).rows
    path.write_text("damaged")
    assert not KeptResults.read(path, "net", SHA, DATA, None).rows
    assert not KeptResults.read(path.with_name("missing.json"), "net", SHA, DATA, None).rows


def test_a_failure_is_written_with_what_was_measured(path: Path) -> None:
    kept = KeptResults.read(path, "net", SHA, DATA, "8 images")
    kept.fail("ncnn-int8", "a check failed")
    report = AccuracyReport.model_validate_json(path.read_text())
    assert [row.form for row in report.subjects] == ["ncnn-fp32"]
    assert [one.label for one in report.failed] == ["net ncnn int8"]
    again = KeptResults.read(path, "net", SHA, DATA, "8 images")
    assert again.parts() == kept.parts()
    assert again.parts(["ncnn-fp32"]) == (report.subjects, ())
