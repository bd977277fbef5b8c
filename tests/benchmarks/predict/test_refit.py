"""A refit of the published runs, if they are available, gives the shipped file and the expected errors."""

from pathlib import Path

import numpy as np
import pytest
from needs import SHARED_DATA

from pocketdet.benchmarks.predict import fit
from pocketdet.benchmarks.predict.coefficients import DeviceModels, load_models
from pocketdet.benchmarks.predict.published import read_workloads

DEVICES = Path(__file__).resolve().parents[4] / "shared/data/devices"
pytestmark = pytest.mark.skipif(not DEVICES.is_dir(), reason=SHARED_DATA)


@pytest.fixture(scope="module")
def refitted(tmp_path_factory: pytest.TempPathFactory) -> DeviceModels:
    out = tmp_path_factory.mktemp("refit") / "coefficients.json"
    assert fit.main(["--devices", str(DEVICES), "--out", str(out)]) == 0
    return load_models(out)


def test_a_refit_gives_the_shipped_file(refitted: DeviceModels) -> None:
    shipped = load_models()
    assert refitted.ranges == shipped.ranges
    assert len(refitted.devices) == len(shipped.devices) == 204
    for ours, theirs in zip(refitted.devices, shipped.devices, strict=True):
        assert ours.model_dump(exclude={"fits"}) == theirs.model_dump(exclude={"fits"})
        for precision, record in ours.fits.items():
            other = theirs.fits[precision]
            assert record.rates == pytest.approx(other.rates, rel=1e-6, abs=1e-9)
            numbers = record.model_dump(exclude={"rates"})
            assert numbers == pytest.approx(other.model_dump(exclude={"rates"}), rel=1e-6)


def test_one_thread_reaches_the_target_on_all_devices_but_one(refitted: DeviceModels) -> None:
    errors = {
        (d.name, d.cores): d.fits["float"].median_error
        for d in refitted.devices
        if d.threads == 1 and d.fits["float"].models >= fit.MANY
    }
    assert len(errors) == 59
    (worst,) = (name for (name, _), error in errors.items() if error >= fit.TARGET)
    assert worst.startswith("MacBook Pro (15-inch, 2019)")
    assert np.median(list(errors.values())) < 0.1


@pytest.mark.parametrize(
    ("model", "million_macs"),
    [("mobilenet", 568.74), ("resnet50", 3857.97), ("vgg16", 15470.26), ("shufflenet_v2", 144.91)],
)
def test_the_work_of_a_known_net(model: str, million_macs: float) -> None:
    assert read_workloads(DEVICES)[model].macs == pytest.approx(million_macs, rel=1e-4)


def test_a_folder_without_runs_ends_with_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fit.main(["--devices", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith(f"error: {tmp_path / 'benchmark_params'}: expected")
