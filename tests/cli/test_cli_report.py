"""`pocketdet report` as a user runs it."""

from collections.abc import Callable
from pathlib import Path

from bench_records import record
from command_line import Ending, command

from pocketdet.benchmarks.record_io import write_record

__all__ = ["command"]

Command = Callable[..., Ending]


def test_a_folder_of_records(command: Command, tmp_path: Path) -> None:
    write_record(tmp_path / "records.json", record())
    out = tmp_path / "report"
    ending = command("report", tmp_path, "--out", out)
    assert ending.code == 0, ending.err
    assert "845: fps  RoIs" in ending.out
    assert max(len(line) for line in ending.out.splitlines()[:6]) <= 80  # at 200 columns, too
    assert "24.1" in ending.out
    assert "✓ 2/2, 0.012 px" in ending.out
    for name in ("report.md", "report.csv", "report.html", "latency.png", "stages.png", "fps.png"):
        assert f"wrote {out / name}" in ending.out
        assert (out / name).stat().st_size > 200


def test_a_folder_with_two_runs_of_a_bundle(command: Command, tmp_path: Path) -> None:
    write_record(tmp_path / "first.json", record(created="2026-11-30T08:00:00Z"))
    write_record(tmp_path / "second.json", record(created="2026-11-30T09:00:00Z"))
    ending = command("report", tmp_path, "--out", tmp_path / "report")
    assert ending.code == 0, ending.err
    assert "second.json is the latest VALID one of 2 runs; the others: median " in ending.out
    assert "(first.json)" in (tmp_path / "report" / "report.html").read_text()


def test_records_that_cannot_be_compared(command: Command, tmp_path: Path) -> None:
    write_record(tmp_path / "a.json", record())
    write_record(tmp_path / "b.json", record(engine={"precision_observed": "fp16"}))
    ending = command("report", tmp_path / "a.json", tmp_path / "b.json", "--out", tmp_path / "report")
    assert (ending.code, ending.out) == (2, "")
    assert "the arithmetic is fp32 in" in ending.err
    assert not (tmp_path / "report").exists()


def test_a_file_that_is_no_record(command: Command, tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text('{"kind": "engine contest", "schema_version": 1}')
    ending = command("report", tmp_path / "other.json", "--out", tmp_path / "report")
    assert (ending.code, ending.out) == (2, "")
    assert "found the record of bench-engines" in ending.err
