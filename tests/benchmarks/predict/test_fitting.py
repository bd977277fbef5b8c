"""Fits of made-up devices whose rates are known."""

import numpy as np
import pytest

from pocketdet.benchmarks.predict.classes import FLOAT, amounts
from pocketdet.benchmarks.predict.compare import one_speed, split_classes
from pocketdet.benchmarks.predict.fitting import fit_device, ratio_band
from pocketdet.benchmarks.predict.published import PublishedRun
from pocketdet.benchmarks.predict.workload import Workload

RATES = np.array([0.02, 0.01, 0.03, 0.0, 0.2, 0.5])


def models(count: int, seed: int = 1) -> dict[str, Workload]:
    rng = np.random.default_rng(seed)
    details = [parts[0] for parts in FLOAT.values()]
    return {f"m{i}": Workload(dict(zip(details, rng.uniform(1, 100, 6), strict=True))) for i in range(count)}


def times(works: dict[str, Workload], factor: float = 1.0) -> dict[str, float]:
    return {name: factor * float(amounts(work, FLOAT) @ RATES) for name, work in works.items()}


def test_exact_times_give_the_rates_back_and_predict_what_was_left_out() -> None:
    works = models(15)
    fit = fit_device(works, times(works), FLOAT)
    assert fit.rates == pytest.approx(RATES, abs=1e-9)
    assert fit.ratios == pytest.approx(np.ones(15), abs=1e-7)
    assert fit.errors == pytest.approx(np.zeros(15), abs=1e-7)


def test_a_model_left_out_does_not_know_its_own_time() -> None:
    works = models(15)
    wrong = times(works)
    wrong["m3"] *= 10
    fit = fit_device(works, wrong, FLOAT)
    assert fit.ratios[3] == pytest.approx(0.1, rel=1e-6)


def test_only_models_with_a_time_take_part() -> None:
    works = models(15)
    known = {name: time for name, time in times(works).items() if name != "m0"}
    assert fit_device(works, {**known, "unknown": 1.0}, FLOAT).models == tuple(f"m{i}" for i in range(1, 15))


@pytest.mark.parametrize("count", [5, 8, 9, 14, 26, 100])
def test_the_band_holds_four_of_five_new_ratios(count: int) -> None:
    rng = np.random.default_rng(count)
    held = []
    for _ in range(400):
        ratios = rng.lognormal(0, 0.3, count + 1)
        low, high = ratio_band(ratios[:-1])
        assert low <= high
        held.append(low <= ratios[-1] <= high)
    least = 0.8 if count >= 9 else (count - 1) / (count + 1)
    assert np.mean(held) > least - 0.06


def test_devices_that_differ_by_a_factor_share_their_rates() -> None:
    works = models(14)
    runs = [PublishedRun(f"d{f}", "", 1, "all", times(works, f)) for f in (1.0, 7.0, 30.0)]
    for ratios in one_speed(works, runs):
        assert list(ratios.values()) == pytest.approx([1.0] * 14, rel=1e-6)


def test_details_move_into_a_class_of_their_own() -> None:
    classes = split_classes(odd=("depthwise_odd",), layers=("layers",))
    assert classes["odd"] == ("depthwise_odd",)
    assert "depthwise_odd" not in classes["depthwise"]
    assert list(split_classes(wino=("winograd_3x3",))) == [*(n for n in FLOAT if n != "winograd_3x3"), "wino"]
