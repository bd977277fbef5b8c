"""A bundle on emulated ARM processors beside this machine: golden, and detections on rendered scenes.

    python tests/helpers/emulated_parity.py BUNDLE       or make arm-parity, which builds all it needs

Prints a table, a line after each run of a minute or two. Exit code 1 if golden fails anywhere, or fp32
detections are not one set within 0.1 px; the differences of fp16 are reported and do not fail. Emulated time
is no measurement, so none is printed.
"""

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from native_runner import Runner
from same_detections import difference, found_in

from pocketdet.datasets.scenes import random_scene, render_scene

QEMU = "qemu-aarch64-static"
PROCESSORS = ("cortex-a57", "cortex-a76", "max")
LIMITS = {"fp32": (0.1, 1e-3), "fp16": (4.0, 5e-2)}  # pixels, score: of runtime/parity.py


def main() -> int:
    """Print the table; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--image-count", type=int, default=20)
    parser.add_argument("--host", default="build/native-host/pocketdet-run")
    parser.add_argument("--arm", default="build/native-aarch64/pocketdet-run")
    arguments = parser.parse_args()
    missing = [p for p in (QEMU, arguments.host, arguments.arm) if shutil.which(p) is None]
    if missing:
        sys.stderr.write(f"emulated_parity: {', '.join(missing)} not found; see make native-aarch64\n")
        return 2
    sys.stdout.write(f"{'processor':<12}{'precision':<11}{'golden':<8}{'detections':>12}{'lost':>6}")
    sys.stdout.write(f"{'max px':>10}{'max score':>11}\n")
    ok = True
    with tempfile.TemporaryDirectory() as folder:
        files = list(write_scenes(Path(folder), arguments.image_count))
        for line, holds in compare(arguments.bundle, files, Runner((arguments.host,)), arguments.arm):
            sys.stdout.write(line + "\n")
            sys.stdout.flush()
            ok = ok and holds
    return 0 if ok else 1


def write_scenes(folder: Path, count: int) -> Iterator[Path]:
    """Render `count` scenes as PPM files."""
    for seed in range(count):
        rng = np.random.default_rng(seed)
        image = render_scene(random_scene(rng, (320, 240) if seed % 2 else (400, 480)), rng).image
        height, width, _ = image.shape
        path = folder / f"{seed:03d}.ppm"
        path.write_bytes(f"P6\n{width} {height}\n255\n".encode() + image.tobytes())
        yield path


def compare(bundle: Path, files: list[Path], host: Runner, arm: str) -> Iterator[tuple[str, bool]]:
    """A line of the table, and whether it holds, per processor and precision that it computes in."""
    here = found_in(host.json("detect", bundle, *files))
    for cpu in PROCESSORS:
        there = Runner((QEMU, arm), {"QEMU_CPU": cpu})
        for precision, (pixels, score) in LIMITS.items():
            done = there.run("verify", bundle, "--precision", precision)
            golden = json.loads(done.stdout)
            if golden["engine"]["precision"] != precision:
                continue
            found = [  # one image a run, since emulated halves take up to a minute each
                frame
                for file in files
                for frame in found_in(there.json("detect", bundle, file, "--precision", precision))
            ]
            differs = difference(here, found, pixels, score)
            line = f"{cpu:<12}{precision:<11}{'ok' if golden['ok'] else 'failed':<8}{differs.total:>12}"
            line += f"{differs.lost:>6}{differs.pixels:>10.1e}{differs.score:>11.1e}"
            yield line, golden["ok"] and (precision == "fp16" or differs.lost == 0)


if __name__ == "__main__":
    sys.exit(main())
