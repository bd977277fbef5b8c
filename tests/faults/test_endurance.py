"""One detector for many frames and many threads: its process does not grow, its results are the same."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import endurance
import needs
import numpy as np
import pytest
from numpy.typing import NDArray
from tiny_bundle import tiny_bundle_template
from tiny_one_stage import tiny_one_stage_template

from pocketdet.runtime.detector import Detections, Detector
from pocketdet.runtime.options import DetectorOptions

__all__ = ["tiny_bundle_template", "tiny_one_stage_template"]

FRAMES, NATIVE_FRAMES = 2_000, 20_000
THREADS, FRAMES_EACH = 8, 500
BUILT = Path(__file__).parents[2] / "build" / "native-host" / "pocketdet-run"


@pytest.fixture
def native_runner() -> Path:
    path = Path(os.environ.get("POCKETDET_RUN") or BUILT)
    if not path.exists():
        pytest.skip(needs.NATIVE)
    return path


def same(one: Detections, other: Detections) -> bool:
    return (
        np.array_equal(one.boxes, other.boxes)
        and np.array_equal(one.scores, other.scores)
        and np.array_equal(one.labels, other.labels)
    )


def different_images() -> list[NDArray[np.uint8]]:
    rng = np.random.default_rng(3)
    return [rng.integers(0, 256, (20 + 9 * i, 64 - 5 * i, 3), np.uint8) for i in range(5)]


def test_a_python_process_does_not_grow() -> None:
    """In a process of its own: this one has other things to remember."""
    words = [sys.executable, endurance.__file__, "--frames", str(FRAMES)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_pocketdet_run_does_not_grow(native_runner: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = endurance.main(["--frames", str(NATIVE_FRAMES), "--runner", str(native_runner)])
    assert code == 0, capsys.readouterr().out


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("template", ["tiny_bundle_template", "tiny_one_stage_template"])
def test_many_threads_share_a_detector(request: pytest.FixtureRequest, template: str, threads: int) -> None:
    images = different_images()
    with Detector(request.getfixturevalue(template), DetectorOptions(threads=threads)) as detector:
        expected = [detector.detect(image) for image in images]
        assert all(len(found) > 0 for found in expected)

        def run(thread: int) -> int:
            order = np.random.default_rng(thread).integers(0, len(images), FRAMES_EACH)
            return sum(same(detector.detect(images[i]), expected[i]) for i in order)

        with ThreadPoolExecutor(THREADS) as pool:
            agreeing = list(pool.map(run, range(THREADS)))
    assert agreeing == [FRAMES_EACH] * THREADS
