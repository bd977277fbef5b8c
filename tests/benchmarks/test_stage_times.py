"""Stage times: the arithmetic, the table and the command, on a detector with known times."""

import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from rich.console import Console

from pocketdet.benchmarks.stage_times import (
    EMULATED,
    POST_PROCESSING,
    StageTimes,
    main,
    measure_stages,
    speed_line,
    stage_table,
)
from pocketdet.errors import UsageError
from pocketdet.runtime.detector import Detections
from pocketdet.runtime.pipeline import TWO_STAGE_STAGES as STAGES


class FixedTimesDetector:
    """Detects nothing; frame i takes `base * (i + 1)` milliseconds in each stage."""

    base = np.array([1.0, 10, 2, 3, 4, 0])

    def __init__(self) -> None:
        self.frames = 0
        self.stages = STAGES

    def detect(self, image: NDArray[Any]) -> Detections:
        self.frames += 1
        spans = dict(zip(STAGES, (self.base * self.frames).tolist(), strict=True))
        nothing = np.zeros(0, np.float32)
        return Detections(np.zeros((0, 4), np.float32), nothing, nothing.astype(np.int32), (), spans)


def measure(frames: int, warm_up: int) -> tuple[StageTimes, int]:
    calls: list[None] = []
    times = measure_stages(
        FixedTimesDetector(),  # type: ignore[arg-type]
        np.zeros((2, 2, 3), np.uint8),
        frames,
        warm_up,
        lambda: calls.append(None),
    )
    return times, len(calls)


def test_warm_up_frames_are_not_counted() -> None:
    times, calls = measure(frames=3, warm_up=2)
    assert calls == 5
    np.testing.assert_array_equal(times.samples, FixedTimesDetector.base * np.array([[3], [4], [5]]))
    np.testing.assert_array_equal(times.totals, [60, 80, 100])
    assert times.fps == pytest.approx(1000 / 80)


def test_shares_are_medians_over_frames() -> None:
    samples = np.zeros((3, len(STAGES)))
    samples[:, STAGES.index("features")] = [9, 5, 1]
    samples[:, STAGES.index("boxes")] = [1, 5, 99]
    times = StageTimes(STAGES, samples)
    assert times.share(["boxes"]) == 0.5  # of 0.1, 0.5 and 0.99
    assert times.share(["features", "boxes"]) == 1
    assert times.share(STAGES) == 1
    assert times.share([]) == 0


@pytest.mark.parametrize(("frames", "warm_up"), [(0, 20), (-1, 20), (10, -1)])
def test_no_frames_are_refused(frames: int, warm_up: int) -> None:
    with pytest.raises(UsageError, match="expected at least 1 frame"):
        measure(frames, warm_up)


def test_emulated_time_is_no_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    times = StageTimes(("preprocess", "model"), np.array([[2.0, 8.0]]))
    assert speed_line(times, ", 200 RoIs") == "100.0 fps on this machine (1000 / median total, 200 RoIs)"
    monkeypatch.setattr("pocketdet.benchmarks.stage_times.is_emulated", lambda: True)
    assert times.fps is None
    assert speed_line(times, ", 200 RoIs") == EMULATED


def test_the_table_has_a_row_per_stage_post_processing_and_total() -> None:
    times, _ = measure(frames=9, warm_up=0)
    console = Console(width=120, record=True)
    console.print(stage_table(times, "a title"))
    lines = console.export_text().splitlines()
    assert lines[0].strip() == "a title"
    found = {}
    for line in lines:
        cells = [c.strip() for c in re.split("[│┃]", line) if c.strip()]
        if len(cells) == 4:
            found[cells[0]] = cells[1:]
    assert found.pop("stage") == ["median ms", "p90 ms", "share"]
    post = f"post-processing ({', '.join(POST_PROCESSING)})"
    assert list(found) == [*STAGES, post, "total"]
    assert found["features"] == ["50.00", "82.00", "50.0%"]  # 10 ms times the 5th and 8.2th of 1..9
    assert found["boxes"] == ["0.00", "0.00", "0.0%"]
    assert found[post] == ["25.00", "41.00", "25.0%"]
    assert found["total"] == ["100.00", "164.00", "100.0%"]


def test_the_command_times_a_bundle(
    small_bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    for engine in ("ncnn", "onnxruntime"):
        arguments = ["stage_times", str(small_bundle), "--frames", "3", "--engine", engine]
        monkeypatch.setattr(sys, "argv", arguments)
        assert main() == 0
        out = capsys.readouterr().out
        assert f"small, {engine}, 1 thread, 3 frames" in out
        assert re.search(r"\d+\.\d fps on this machine", out)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["absent.pocketdet"], "absent.pocketdet: no such bundle"),
        (["BUNDLE", "--frames", "0"], "expected at least 1 frame"),
        (["BUNDLE", "--image", "absent.png"], "absent.png: the image cannot be read"),
    ],
)
def test_bad_input_gives_one_sentence(
    small_bundle: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    words: str,
) -> None:
    words_given = [str(small_bundle) if a == "BUNDLE" else a for a in arguments]
    monkeypatch.setattr(sys, "argv", ["stage_times", *words_given])
    assert main() == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert words in err
