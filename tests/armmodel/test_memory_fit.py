"""The constant of a device is found in times that follow the model, and is the one that is kept."""

from pathlib import Path

import numpy as np
import pytest
from needs import SHARED_DATA

from pocketdet.armmodel.devices import DEVICES
from pocketdet.armmodel.memory_fit import Times, all_times, weighted_median
from pocketdet.armmodel.validation import load_validation, published_times

DATA = Path(__file__).parents[3] / "shared" / "data" / "devices"


def test_the_constant_of_made_up_times_is_found() -> None:
    rng = np.random.default_rng(3)
    core, line = rng.uniform(2.0, 60.0, 20), rng.uniform(0.1, 3.0, 20)  # milliseconds, million lines
    published = (core + 4.0 * line) * np.where(np.arange(20) % 5, 1.0, 1.4)  # four networks are slower
    times = Times(DEVICES[0], core / published, line / published)
    assert times.fit() == 4.0
    assert np.median(abs(times.ratios(4.0) - 1)) == pytest.approx(0.0)
    assert np.median(abs(times.left_out() - 1)) == pytest.approx(0.0)


def test_a_constant_that_raises_the_median_error_is_not_kept() -> None:
    core = np.array([0.9, 1.0, 1.0, 1.0, 1.0, 1.0, 0.2])  # one network with nearly all lines is slow
    times = Times(DEVICES[0], core, np.array([0.01] * 6 + [1.0]))
    assert weighted_median(times.wanted, times.line) > 0.0
    assert times.fit() == 0.0
    assert (times.left_out() == core).all()


def test_the_weighted_median() -> None:
    values, weights = np.array([5.0, 1.0, 3.0]), np.array([1.0, 1.0, 1.0])
    assert weighted_median(values, weights) == 3.0
    assert weighted_median(values, np.array([9.0, 1.0, 1.0])) == 5.0
    assert weighted_median(-values, weights) == 0.0


@pytest.mark.skipif(not DATA.is_dir(), reason=SHARED_DATA)
def test_the_constants_are_those_of_the_fit() -> None:
    fitted = {t.device.name: t.fit() for t in all_times(load_validation(), published_times(DATA))}
    assert {d.name: d.line_ns for d in DEVICES} == dict.fromkeys((d.name for d in DEVICES), 0.0) | fitted
