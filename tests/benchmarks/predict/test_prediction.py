"""Predictions: amounts times rates, and the band, which is wider outside the fitted models."""

import dataclasses

import pytest

from pocketdet.benchmarks.predict.coefficients import DeviceModel, FitRecord, Range
from pocketdet.benchmarks.predict.prediction import Prediction, predict, range_of
from pocketdet.benchmarks.predict.workload import FLOAT, Workload
from pocketdet.errors import UsageError

WORK = Workload({"dense_1x1": 200.0, "depthwise_3x3": 10.0, "dense_kxk": 10.0, "moved_dense": 8.0})
RANGES = {"float": Range(macs=(30.0, 15000.0), largest_shares=dict.fromkeys((*FLOAT, "odd_channels"), 1.0))}


def device(**rates: float) -> DeviceModel:
    record = FitRecord(
        rates={**dict.fromkeys(FLOAT, 0.0), **rates},
        models=20,
        median_error=0.1,
        p90_error=0.4,
        ratio_low=0.8,
        ratio_high=1.25,
    )
    return DeviceModel(name="A", published_as="A", threads=1, cores="big", fits={"float": record})


def predicted(work: Workload, ranges: dict[str, Range] = RANGES, **rates: float) -> Prediction:
    return predict(work, device(**rates), ranges)


def test_the_time_is_amounts_times_rates() -> None:
    found = predicted(WORK, dense_1x1=0.1, depthwise=0.5, values_moved=1.0)
    assert found.milliseconds == pytest.approx(200 * 0.1 + 10 * 0.5 + 8 * 1.0)
    assert (found.low, found.high) == pytest.approx((33 / 1.25, 33 / 0.8))
    assert found.notes == ()
    assert (found.method, found.frame) == ("predicted", None)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"dense_1x1": 20000.0}, "20020 million MACs, fitted were 30 to 15000"),
        ({"depthwise_5x5": 100.0}, "34% of the MACs are depthwise, at most 20% in the fitted models"),
        ({"dense_1x1_odd": 300.0}, "58% of the MACs are in layers with channels that are no multiple of 4"),
        ({"moved_others": 100.0}, "0.49 values are moved per MAC, at most 0.2 in the fitted models"),
    ],
)
def test_outside_what_was_fitted_the_band_is_doubled_and_says_why(
    changes: dict[str, float], reason: str
) -> None:
    most = {**dict.fromkeys(FLOAT, 1.0), "depthwise": 0.2, "values_moved": 0.2, "odd_channels": 0.2}
    ranges = {"float": Range(macs=(30.0, 15000.0), largest_shares=most)}
    assert predicted(WORK, ranges, dense_1x1=0.1).notes == ()
    work = Workload({**WORK.amounts, **changes})
    found = predicted(work, ranges, dense_1x1=0.1)
    assert (found.low, found.high) == pytest.approx(
        (found.milliseconds / 1.25**2, found.milliseconds / 0.8**2)
    )
    assert len(found.notes) == 1
    assert reason in found.notes[0]


def test_layers_that_no_model_has_may_take_twice_as_long() -> None:
    found = predicted(dataclasses.replace(WORK, unlike=50.0), dense_1x1=0.1)
    assert found.milliseconds == pytest.approx(20.0)
    assert (found.low, found.high) == pytest.approx((16.0, 25.0 + 5.0))
    assert found.notes[0].startswith("23% of the MACs are in layers that no fitted model has")


def test_a_precision_without_runs_is_refused() -> None:
    with pytest.raises(UsageError, match="A: too few published runs in int8"):
        predicted(dataclasses.replace(WORK, int8=1.0))


def test_the_range_of_the_fitted_holds_each_of_them() -> None:
    other = Workload({"dense_1x1_odd": 50.0, "winograd_3x3": 50.0, "moved_others": 9.0})
    span = range_of([WORK, other], "float")
    assert span.macs == (100.0, 220.0)
    assert span.largest_shares["winograd_3x3"] == 0.5
    assert span.largest_shares["odd_channels"] == 0.5
    assert span.largest_shares["values_moved"] == pytest.approx(0.09)
    for work in (WORK, other):
        assert predicted(work, {"float": span}, dense_1x1=0.1).notes == ()
