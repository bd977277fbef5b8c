"""pocketdet-run as `make native` and `make native-aarch64` build it; without a build, tests skip by name."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import needs
import numpy as np
import pytest
from native_runner import Runner
from numpy.typing import NDArray
from tiny_bundle import rehash, tiny_bundle, tiny_bundle_template
from tiny_one_stage import tiny_one_stage, tiny_one_stage_template
from tiny_sizes import tiny_sizes, tiny_sizes_template

from pocketdet.datasets.scenes import random_scene, render_scene

__all__ = [
    "rehash",
    "tiny_bundle",
    "tiny_bundle_template",
    "tiny_one_stage",
    "tiny_one_stage_template",
    "tiny_sizes",
    "tiny_sizes_template",
]

ROOT = Path(__file__).parents[2]
QEMU = "qemu-aarch64-static"


def built(target: str, variable: str, reason: str) -> str:
    path = Path(os.environ.get(variable) or ROOT / "build" / target / "pocketdet-run")
    if not path.exists():
        pytest.skip(reason)
    return str(path)


@pytest.fixture(scope="session")
def runner() -> Runner:
    """pocketdet-run for this machine."""
    return Runner((built("native-host", "POCKETDET_RUN", needs.NATIVE),))


@pytest.fixture(scope="session")
def native_build(runner: Runner) -> Path:
    """The build folder of pocketdet-run, with libpocketdet.so."""
    return Path(runner.command[0]).resolve().parent


@pytest.fixture(scope="session")
def arm_runner() -> Callable[[str], Runner]:
    """QEMU's name of an ARM processor -> pocketdet-run on it."""
    program = built("native-aarch64", "POCKETDET_RUN_AARCH64", needs.NATIVE_ARM)
    if shutil.which(QEMU) is None:
        pytest.skip(needs.QEMU)
    return lambda cpu: Runner((QEMU, program), {"QEMU_CPU": cpu})


@pytest.fixture(scope="session")
def write_ppm() -> Callable[[Path, NDArray[np.uint8]], Path]:
    """Write an RGB image as a binary PPM."""

    def write(path: Path, image: NDArray[np.uint8]) -> Path:
        height, width, _ = image.shape
        path.write_bytes(f"P6\n{width} {height}\n255\n".encode() + image.tobytes())
        return path

    return write


@pytest.fixture(scope="session")
def image_files(
    sample_images: list[NDArray[np.uint8]],
    write_ppm: Callable[[Path, NDArray[np.uint8]], Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> list[Path]:
    """Twenty images of many shapes: the ten `sample_images`, each upright and turned by 90 degrees."""
    folder = tmp_path_factory.mktemp("images")
    both = [*sample_images, *(np.ascontiguousarray(np.rot90(image)) for image in sample_images)]
    return [write_ppm(folder / f"{i:02d}.ppm", image) for i, image in enumerate(both)]


@pytest.fixture(scope="session")
def png_files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Ten sample_images of noise, coarse to fine."""
    folder = tmp_path_factory.mktemp("noise")
    files = []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        coarse = rng.integers(0, 256, (3 + 2 * seed, 9 + seed, 3), dtype=np.uint8)
        files.append(folder / f"{seed}.png")
        cv2.imwrite(str(files[-1]), cv2.resize(coarse, (60, 44), interpolation=cv2.INTER_NEAREST))
    return files


@pytest.fixture(scope="session")
def scene_files(
    write_ppm: Callable[[Path, NDArray[np.uint8]], Path], tmp_path_factory: pytest.TempPathFactory
) -> list[Path]:
    """Six rendered scenes of what the trained detector knows."""
    folder = tmp_path_factory.mktemp("scenes")
    files = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        size = (160, 128) if seed % 2 else (128, 176)
        files.append(write_ppm(folder / f"{seed:02d}.ppm", render_scene(random_scene(rng, size), rng).image))
    return files
