"""pocketdet-run and the C API on a bundle of several input sizes: what Python finds and refuses at each."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from c_api import CallError, Library
from native_runner import Runner, assert_same_checks, by_python
from same_detections import difference, found_in
from tiny_sizes import SIDES

from pocketdet.runtime.bundle import load_bundle
from pocketdet.runtime.images import read_image
from pocketdet.runtime.verification import replay


@pytest.mark.parametrize("side", SIDES)
def test_detections_are_those_of_python(
    runner: Runner, tiny_sizes_template: Path, png_files: list[Path], side: int
) -> None:
    document = runner.json("detect", tiny_sizes_template, *png_files, f"--size={side}")
    assert document["bundle"]["input"] == [side, side]
    images = [read_image(file) for file in png_files]
    python = by_python(tiny_sizes_template, images, size=side)
    differs = difference(python, found_in(document), pixels=1e-3, score=1e-5)
    assert differs.lost == 0, differs
    assert differs.total > 60
    native = by_python(tiny_sizes_template, images, "native", size=side)
    assert difference(native, found_in(document), pixels=1e-4, score=1e-6).lost == 0


@pytest.mark.parametrize("size", [None, *SIDES])
def test_checks_are_those_of_python(runner: Runner, tiny_sizes_template: Path, size: int | None) -> None:
    words = [] if size is None else ["--size", f"{size}x{size}"]
    report = replay(tiny_sizes_template, size)
    document = runner.json("verify", tiny_sizes_template, *words)
    marked = [check["name"].endswith(" at 64x64") for check in document["checks"]]
    assert sum(marked) == (len(marked) // 2 if size is None else 0)
    for check in document["checks"]:
        check["name"] = check["name"].removesuffix(" at 64x64")
    assert_same_checks(document, [check for image in report.images for check in image.checks["ncnn"]])


def test_every_size_is_verified(runner: Runner, tiny_sizes: Path, rehash: Callable[[Path], None]) -> None:
    stages = tiny_sizes / "64x64/golden/stages.safetensors"
    data = bytearray(stages.read_bytes())
    data[-100:] = bytes(100)
    stages.write_bytes(bytes(data))
    rehash(tiny_sizes)
    assert runner.run("verify", tiny_sizes).returncode == 1
    assert runner.run("verify", tiny_sizes, "--size", "32").returncode == 0
    assert runner.run("verify", tiny_sizes, "--size", "64").returncode == 1


def test_sizes_are_refused(runner: Runner, tiny_sizes_template: Path, png_files: list[Path]) -> None:
    for command, *files in (("verify",), ("detect", png_files[0]), ("bench",)):
        said = runner.error(str(command), tiny_sizes_template, *files, "--size", "48x64")
        assert said.endswith("input size 48x64: expected a size of this bundle: 32x32, 64x64")
    said = runner.error("verify", tiny_sizes_template, "--size", "64x")
    assert said == "input size '64x': expected one side or HEIGHTxWIDTH, for example 320 or 320x480"


def test_the_size_that_is_timed(runner: Runner, tiny_sizes_template: Path) -> None:
    document = runner.json("bench", tiny_sizes_template, "--size=64", "--frames=2", "--warmup=0")
    assert document["bundle"]["input"] == [64, 64]


@pytest.mark.parametrize("side", SIDES)
def test_the_c_api(native_build: Path, tiny_sizes_template: Path, png_files: list[Path], side: int) -> None:
    library = Library(native_build / "libpocketdet.so")
    detector = library.open(tiny_sizes_template, input_size=str(side).encode())
    image = read_image(png_files[0])
    (expected,) = by_python(tiny_sizes_template, [image], size=side)
    found = detector.detect(image, image.shape[1], image.shape[0])
    np.testing.assert_allclose(found.boxes, expected.boxes, atol=1e-3)
    with load_bundle(tiny_sizes_template) as bundle:
        assert detector.text("detector_digest") == bundle.digest
    assert library["detector_input_width"](detector.detector) == side
    with pytest.raises(CallError, match="input size 5x5: expected a size of this bundle"):
        library.open(tiny_sizes_template, input_size=b"5")
