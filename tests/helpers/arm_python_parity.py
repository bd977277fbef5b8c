"""pocketdet in Python on emulated ARM processors: golden, and what it detects beside two other programs.

    python tests/helpers/arm_python_parity.py BUNDLE [--image-count 6]     after make native-aarch64

Detections of aarch64 Python (the ncnn wheel and `_core`) are compared with those of this machine's Python and
of the aarch64 pocketdet-run on the same emulated processor. Exit code 1 if golden fails, or fp32 detections
are not one set within 0.1 px; the differences of fp16 are reported and do not fail. Emulated time is no
measurement.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
from arm_python import QEMU, MissingError, arm_environment, clean_environment
from emulated_parity import LIMITS, write_scenes
from native_runner import Runner
from same_detections import Difference, PlainDetections, difference, found_in

HALF = ("cortex-a76", "max")  # with half-precision arithmetic, so that both precisions are computed
VERIFY = ("-m", "pocketdet.benchmarks.targets.python_runner", "verify")


@dataclass(frozen=True)
class Python:
    """A Python with pocketdet: its folder of programs, and the processor if it is emulated."""

    programs: Path
    cpu: str | None = None

    def run(self, program: str, *words: str | Path) -> "subprocess.CompletedProcess[str]":
        """Run one of its programs to the end, away from the checkout, which Python would import first."""
        environment = clean_environment() | ({"QEMU_CPU": self.cpu} if self.cpu else {})
        command = [str(self.programs / program), *map(str, words)]
        return subprocess.run(
            command, capture_output=True, text=True, env=environment, cwd=self.programs, timeout=600
        )

    def detect(self, bundle: Path, images: Path, precision: str) -> list[PlainDetections]:
        """What `pocketdet detect` finds in a folder of images, above the bundle's own threshold."""
        least = json.loads((bundle / "manifest.json").read_text())["postprocessing"]["score_threshold"]
        words = ["--no-save", "--json", "--score", str(least), "--precision", precision]
        done = self.run("pocketdet", "detect", bundle, images, *words)
        assert done.returncode == 0, done.stderr
        document = json.loads(done.stdout)
        assert document["precision"] == (precision if self.cpu else "fp32")  # x86 computes in fp32
        assert [f["name"] for f in document["frames"]] == sorted(p.stem for p in images.iterdir())
        return found_in({"images": document["frames"]})

    def golden(self, bundle: Path, precision: str) -> tuple[bool, str]:
        """Whether golden replays, and the precision in use when this one is asked for."""
        done = self.run("python", *VERIFY, bundle, "--precision", precision)
        assert done.stdout, done.stderr
        document = json.loads(done.stdout)
        assert document["ok"] is (done.returncode == 0)
        return document["ok"], document["engine"]["precision"]


@dataclass(frozen=True)
class Row:
    """Aarch64 Python on one processor in one precision, against both others."""

    cpu: str
    precision: str
    golden: bool
    from_x86: Difference
    from_native: Difference

    @property
    def ok(self) -> bool:
        """Golden holds, and fp32 finds the same set of detections."""
        same = self.from_x86.lost == self.from_native.lost == 0
        return self.golden and (self.precision == "fp16" or same)

    def __str__(self) -> str:
        golden = "ok" if self.golden else "failed"
        told = f"{self.cpu:<12}{self.precision:<11}{golden:<8}{self.from_x86.total:>6}"
        for differs in (self.from_x86, self.from_native):
            told += f"{differs.lost:>6}{differs.pixels:>10.1e}{differs.score:>10.1e}"
        return told


HEADER = f"{'':37}{'from x86 Python':>26}{'from ARM pocketdet-run':>26}\n"
HEADER += (
    f"{'processor':<12}{'precision':<11}{'golden':<8}{'found':>6}" + f"{'lost':>6}{'px':>10}{'score':>10}" * 2
)


def compare(programs: Path, native: Path, bundle: Path, images: Path) -> Iterator[Row]:
    """A row per processor and precision, for a folder of images."""
    here = Python(Path(sys.executable).parent).detect(bundle, images, "fp32")
    files = sorted(images.iterdir())
    for cpu in HALF:
        for precision, (pixels, score) in LIMITS.items():
            python = Python(programs, cpu)
            found = python.detect(bundle, images, precision)
            runner = Runner((QEMU, str(native)), {"QEMU_CPU": cpu})
            told = found_in(runner.json("detect", bundle, *files, "--precision", precision))
            from_x86 = difference(here, found, pixels, score)
            from_native = difference(told, found, pixels, score)
            ok, used = python.golden(bundle, precision)
            assert used == precision
            yield Row(cpu, precision, ok, from_x86, from_native)


def write_images(folder: Path, count: int) -> None:
    """Render `count` scenes as PNG files, which every program here reads."""
    folder.mkdir()
    for path in write_scenes(folder, count):
        cv2.imwrite(str(path.with_suffix(".png")), cv2.imread(str(path)))
        path.unlink()


def main() -> int:
    """Print the table; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--image-count", type=int, default=6)
    parser.add_argument("--arm", type=Path, default=Path("build/native-aarch64/pocketdet-run"))
    arguments = parser.parse_args()
    if not arguments.arm.exists():
        sys.exit(f"arm_python_parity: {arguments.arm} is not built: make native-aarch64")
    ok = True
    with tempfile.TemporaryDirectory() as folder:
        images = Path(folder) / "images"
        write_images(images, arguments.image_count)
        try:
            programs = arm_environment(Path(folder) / "python")
        except MissingError as error:
            sys.exit(f"arm_python_parity: {error}")
        sys.stdout.write(HEADER + "\n")
        for row in compare(programs, arguments.arm, arguments.bundle.resolve(), images):
            sys.stdout.write(f"{row}\n")
            sys.stdout.flush()
            ok = ok and row.ok
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
