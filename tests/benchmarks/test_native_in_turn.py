"""The C++ detector timed in three ways, in turn."""

import sys
from collections.abc import Callable
from pathlib import Path

import needs
import numpy as np
import pytest

from pocketdet.benchmarks.native_in_turn import (
    NCNN_LAYERS,
    PYTHON,
    RUNNER,
    main,
    report,
    runner_times,
    time_in_turn,
)
from pocketdet.errors import EngineError
from pocketdet.runtime.native_build import X86_64, library_path


def counted(milliseconds: float, turns: list[float]) -> Callable[[int], list[float]]:
    def run(frames: int) -> list[float]:
        turns.append(milliseconds)
        return [milliseconds] * frames

    return run


def test_every_contestant_has_one_turn_in_each_round() -> None:
    turns: list[float] = []
    samples = time_in_turn({"a": counted(1, turns), "b": counted(2, turns)}, rounds=20, frames=3)
    assert {name: times.shape for name, times in samples.items()} == {"a": (20, 3), "b": (20, 3)}
    assert (samples["b"] == 2).all()
    rounds = np.reshape(turns, (20, 2))
    assert (np.sort(rounds) == (1, 2)).all()
    assert 0 < (rounds[:, 0] == 1).sum() < 20  # the order changes


def test_the_report_gives_times_relative_to_the_runner() -> None:
    samples = {name: np.full((4, 3), ms) for name, ms in ((RUNNER, 8.0), (NCNN_LAYERS, 10.0), (PYTHON, 8.1))}
    first, runner, ncnn_layers, python = report("small", samples)
    assert first == "small: fp32, one thread, 4 rounds of 3 frames in turn"
    assert "8.00 ms, 1.000 [1.000, 1.000] times as long" in runner
    assert "10.00 ms, 1.250 [1.250, 1.250] times as long" in ncnn_layers
    assert "8.10 ms, 1.012 [1.012, 1.012] times as long" in python


def test_a_runner_that_fails_gives_its_sentence() -> None:
    failing = [sys.executable, "-c", "import sys; sys.exit('no such bundle')"]
    with pytest.raises(EngineError, match="no such bundle"):
        runner_times(failing, 3)


def test_a_missing_runner_names_the_recipe(
    small_bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("POCKETDET_RUN", "/absent/pocketdet-run")
    assert main([str(small_bundle)]) == 2
    assert "there is no such program; build it with: make native" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--rounds", "0"], ["--frames", "0"]])
def test_no_frames_are_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["absent", *words]) == 2
    assert "expected 1 or more" in capsys.readouterr().err


def test_a_bundle_is_timed(small_bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if not X86_64.runner.is_file() or not library_path().is_file():
        pytest.skip(needs.NATIVE)
    assert main([str(small_bundle), "--rounds", "2", "--frames", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert all("times as long as pocketdet-run" in line for line in lines[1:])
