"""What many tests need: small detectors with seeded weights, and their bundles, exported once a session."""

import signal
from collections.abc import Callable
from pathlib import Path

import hypothesis
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from pocketdet.export import ExportOptions, export_detector
from pocketdet.export.examples import synthetic_image
from pocketdet.models.config import DetectorConfig
from pocketdet.models.init import seeded_detector
from pocketdet.models.thundernet import ThunderNet

torch.set_num_threads(1)
# the same examples on every machine, and no verdict by how busy it is
hypothesis.settings.register_profile("pocketdet", derandomize=True, deadline=None, database=None)
hypothesis.settings.load_profile("pocketdet")
# whoever started the tests in the background ignores Ctrl-C, and what the tests start would inherit that
signal.signal(signal.SIGINT, signal.default_int_handler)

CLASSES = tuple(f"class {i}" for i in range(1, 81))


@pytest.fixture(scope="session")
def detector_of() -> Callable[[str], ThunderNet]:
    """Architecture -> the seeded detector at its full size, 80 classes."""
    made: dict[str, ThunderNet] = {}

    def make(arch: str) -> ThunderNet:
        if arch not in made:
            made[arch] = seeded_detector(DetectorConfig(arch, CLASSES), seed=7)
        return made[arch]

    return make


@pytest.fixture(scope="session")
def bundle_of(
    detector_of: Callable[[str], ThunderNet], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Path]:
    """Architecture -> path of its exported bundle. Tests that change files work on a copy."""
    made: dict[str, Path] = {}

    def make(arch: str) -> Path:
        if arch not in made:
            out = tmp_path_factory.mktemp("bundles")
            made[arch] = export_detector(detector_of(arch), out).path
        return made[arch]

    return make


@pytest.fixture(scope="session")
def small_model() -> ThunderNet:
    """A quick detector: SNet49 on 96x64 pixels, three classes."""
    config = DetectorConfig("thundernet-snet49", ("bolt", "nut", "washer"), input_size=(96, 64))
    return seeded_detector(config, seed=3)


@pytest.fixture(scope="session")
def small_bundle(small_model: ThunderNet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of `small_model`."""
    return export_detector(small_model, tmp_path_factory.mktemp("small"), ExportOptions(name="small")).path


@pytest.fixture(scope="session")
def pictures() -> list[NDArray[np.uint8]]:
    """Ten different pictures: soft blobs, noise, gradients, tall, wide, small and large."""
    images = [synthetic_image((320, 320), seed) for seed in range(4)]
    rng = np.random.default_rng(11)
    for height, width in ((320, 320), (97, 413), (700, 210), (31, 17)):
        images.append(rng.integers(0, 256, (height, width, 3), np.uint8))
    ramp = np.linspace(0, 255, 480, dtype=np.uint8)
    images.append(np.stack(np.broadcast_arrays(ramp[None, :], ramp[:300, None], 128), -1).astype(np.uint8))
    images.append(np.full((240, 240, 3), 77, np.uint8))
    return images
