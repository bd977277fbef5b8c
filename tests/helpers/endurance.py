"""Many frames through one detector: how much its process grows after the first fifth of them.

python tests/helpers/endurance.py [--frames 100000] [--runner build/native-host/pocketdet-run]

Python by default; with --runner the C++ program, whose warm-up frames leave no record. Each of the tiny
bundles has its row. Exit code 1 if a process grows by 1 MiB or more.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tiny_bundle import make_tiny_bundle
from tiny_one_stage import make_tiny_one_stage

from pocketdet.runtime.detector import Detector

LIMIT_KIB, SAMPLES = 1024, 100
IMAGES, SIDE = 7, 48  # of different content and size


def resident_kib(process: int | str = "self") -> int:
    """Resident memory of a process; 0 once it has ended."""
    text = Path(f"/proc/{process}/status").read_text(encoding="ascii")
    return next((int(line.split()[1]) for line in text.splitlines() if line.startswith("VmRSS:")), 0)


def python_growth(bundle: Path, frames: int) -> tuple[int, int]:
    """Resident memory in KiB after a fifth of the frames, and the most after that."""
    rng = np.random.default_rng(1)
    images = [rng.integers(0, 256, (SIDE + 8 * i, SIDE, 3), np.uint8) for i in range(IMAGES)]
    first = most = 0
    with Detector(bundle) as detector:
        for number in range(frames):
            detector.detect(images[number % IMAGES])
            if number == frames // 5:
                first = most = resident_kib()
            elif first and number % max(1, frames // SAMPLES) == 0:
                most = max(most, resident_kib())
    return first, max(most, resident_kib())


def native_growth(runner: Path, bundle: Path, frames: int) -> tuple[int, int]:
    """The same of pocketdet-run, sampled while it runs."""
    image = bundle / "golden" / "image.png"
    words = [runner, "bench", bundle, image, "--warmup", str(frames), "--frames", "1"]
    samples = []
    with subprocess.Popen(words, stdout=subprocess.PIPE) as child:
        begin = time.monotonic()
        while child.poll() is None and (resident := resident_kib(child.pid)):
            samples.append((time.monotonic() - begin, resident))
            time.sleep(0.005)
        assert child.stdout is not None
        assert json.load(child.stdout)["options"]["warmup"] == frames
    seconds = samples[-1][0]
    after = [resident for at, resident in samples if at >= seconds / 5]
    return after[0], max(after)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the frames and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--frames", type=int, default=100_000)
    parser.add_argument("--runner", type=Path)
    chosen = parser.parse_args(arguments)
    worst = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for bundle in (make_tiny_bundle(folder / "tiny"), make_tiny_one_stage(folder / "one-stage")):
            begin = time.monotonic()
            if chosen.runner is None:
                first, most = python_growth(bundle, chosen.frames)
            else:
                first, most = native_growth(chosen.runner, bundle, chosen.frames)
            worst = max(worst, most - first)
            what = f"{'Python' if chosen.runner is None else chosen.runner.name} {bundle.name}"
            sys.stdout.write(
                f"{what:<26}{chosen.frames:>8} frames {time.monotonic() - begin:>8.1f} s"
                f"{first:>9} KiB, then at most {most - first:+} KiB\n"
            )
            sys.stdout.flush()
    return int(worst >= LIMIT_KIB)


if __name__ == "__main__":
    sys.exit(main())
