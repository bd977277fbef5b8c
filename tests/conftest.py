"""What many tests need: small detectors with random weights, and their bundles, exported once a run."""

import signal
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from shared_exports import made_once, remembering, shared_folder

from pocketdet.export import ExportOptions, export_detector
from pocketdet.export.reference.base import synthetic_image
from pocketdet.models.checkpoint import load_checkpoint
from pocketdet.models.config import DetectorConfig
from pocketdet.models.random_init import random_thundernet
from pocketdet.models.thundernet import ThunderNet
from pocketdet.models.zoo import FOD, zoo_weights

torch.set_num_threads(1)
# the same examples on every machine, and no verdict by how busy it is; --hypothesis-profile chooses
for profile, examples in (("quick", 40), ("all", 100)):
    hypothesis.settings.register_profile(
        profile,
        max_examples=examples,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=[hypothesis.HealthCheck.too_slow],
    )
hypothesis.settings.load_profile("quick")
# whoever started the tests in the background ignores Ctrl-C, and what the tests start would inherit that
signal.signal(signal.SIGINT, signal.default_int_handler)

CLASSES = tuple(f"class {i}" for i in range(1, 81))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Emulated processors are slow, whatever they are asked."""
    for item in items:
        if "arm_runner" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.slow)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line for each reason to skip: how many tests, and the command that enables them."""
    reports = terminalreporter.getreports("skipped")
    reasons = Counter(str(report.longrepr[2]).removeprefix("Skipped: ") for report in reports)
    if reasons:
        terminalreporter.section("skipped")
    for reason, count in reasons.most_common():
        terminalreporter.write_line(f"{count} {'test' if count == 1 else 'tests'}: {reason}")


@pytest.fixture(scope="session", autouse=True)
def _remembered_exports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Equal networks share an ONNX file (`shared_exports`), but for the tests of the conversion itself."""
    with pytest.MonkeyPatch.context() as patch:
        if hypothesis.settings.get_current_profile_name() == "quick":
            folder = shared_folder(tmp_path_factory, "onnx")
            patch.setattr("pocketdet.export.reference.network.to_onnx", remembering(folder))
        yield


@pytest.fixture(scope="session")
def detector_of() -> Callable[[str], ThunderNet]:
    """Architecture -> the random detector at its full size, 80 classes."""
    made: dict[str, ThunderNet] = {}

    def make(arch: str) -> ThunderNet:
        if arch not in made:
            made[arch] = random_thundernet(DetectorConfig(arch, CLASSES), seed=7)
        return made[arch]

    return make


@pytest.fixture(scope="session")
def bundle_of(
    detector_of: Callable[[str], ThunderNet], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Path]:
    """Architecture -> path of its exported bundle. Tests that change files work on a copy."""

    def make(arch: str) -> Path:
        return made_once(tmp_path_factory, arch, lambda out: export_detector(detector_of(arch), out).path)

    return make


@pytest.fixture(scope="session")
def small_model() -> ThunderNet:
    """A quick detector: SNet49 on 96x64 pixels, three classes."""
    config = DetectorConfig("thundernet-snet49", ("bolt", "nut", "washer"), input_size=(96, 64))
    return random_thundernet(config, seed=3)


@pytest.fixture(scope="session")
def small_bundle(small_model: ThunderNet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of `small_model`."""
    options = ExportOptions(name="small")
    return made_once(tmp_path_factory, "small", lambda out: export_detector(small_model, out, options).path)


@pytest.fixture(scope="session")
def plain_bundle(small_model: ThunderNet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of `small_model` without lane alignment."""
    options = ExportOptions(name="plain", target=None)
    return made_once(tmp_path_factory, "plain", lambda out: export_detector(small_model, out, options).path)


@pytest.fixture(scope="session")
def trained_model() -> ThunderNet:
    """The trained detector on 96x96 pixels: what rounding does to random weights says nothing."""
    return load_checkpoint(zoo_weights(FOD), input_size=(96, 96))


@pytest.fixture(scope="session")
def trained_bundle(trained_model: ThunderNet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of `trained_model`."""
    options = ExportOptions(name="trained")
    return made_once(
        tmp_path_factory, "trained", lambda out: export_detector(trained_model, out, options).path
    )


@pytest.fixture(scope="session")
def images() -> list[NDArray[np.uint8]]:
    """Ten different images: soft blobs, noise, gradients, tall, wide, small and large."""
    images = [synthetic_image((320, 320), seed) for seed in range(4)]
    rng = np.random.default_rng(11)
    for height, width in ((320, 320), (97, 413), (700, 210), (31, 17)):
        images.append(rng.integers(0, 256, (height, width, 3), np.uint8))
    ramp = np.linspace(0, 255, 480, dtype=np.uint8)
    images.append(np.stack(np.broadcast_arrays(ramp[None, :], ramp[:300, None], 128), -1).astype(np.uint8))
    images.append(np.full((240, 240, 3), 77, np.uint8))
    return images


@pytest.fixture(scope="session")
def sample_images(images: list[NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
    """The same images, under their former name."""
    return images
