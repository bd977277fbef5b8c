"""The better of two methods for a device, and its band."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from stored_cycles import FRAME, NETWORKS, stored_model
from tiny_bundle import rehash, tiny_bundle, tiny_bundle_template

from pocketdet.armmodel import estimate as module
from pocketdet.armmodel.devices import DEVICES, SNAPDRAGON_845, UNPUBLISHED, Device
from pocketdet.armmodel.estimate import FEWEST, Spread, estimate, find_targets, spread_on
from pocketdet.armmodel.validation import Validation, load_validation
from pocketdet.benchmarks.predict import Prediction, load_models
from pocketdet.benchmarks.predict.prediction import ratio_band
from pocketdet.errors import GraphError, UsageError
from pocketdet.runtime.bundle import load_bundle

__all__ = ["rehash", "tiny_bundle", "tiny_bundle_template"]

PHONE = DEVICES[0]
MODELS = load_models()
RATIOS = {f"n{i}": 0.9 + 0.02 * i for i in range(11)} | {f"n{i}_int8": 0.5 + 0.01 * i for i in range(6)}
Estimate = Callable[..., Prediction]


def validation(**ratios: dict[str, float]) -> Validation:
    """Ratios by the index of a device, as d0."""
    return Validation(llvm="19", points=[], ratios={DEVICES[int(d[1:])].name: r for d, r in ratios.items()})


@pytest.fixture
def estimated(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> Estimate:
    """Estimate the tiny bundle on the one device of a name, with stored cycles and these ratios."""

    def run(
        query: str, known: Validation, precision: str | None = None, instrument: Any = "built"
    ) -> Prediction:
        monkeypatch.setattr(module, "model", stored_model)
        monkeypatch.setattr(module, "load_validation", lambda: known)
        with load_bundle(tiny_bundle) as bundle:
            (made,) = estimate(bundle, find_targets(query, 1, MODELS), MODELS, instrument, precision)
        return made

    return run


def test_the_time_is_cycles_over_clock_and_over_the_median_ratio(estimated: Estimate) -> None:
    made = estimated("855+", validation(d0=RATIOS), "fp16")
    modelled = PHONE.milliseconds(NETWORKS, 0)
    low, high = ratio_band([r for n, r in RATIOS.items() if not n.endswith("int8")])
    assert (made.method, made.threads, made.cores, made.models) == ("modelled", 1, "big", 11)
    assert made.milliseconds == pytest.approx(modelled / 1.0)
    assert (made.low, made.high) == pytest.approx((modelled / high, modelled / low))
    assert made.frame == pytest.approx(PHONE.milliseconds(FRAME, 0))
    assert made.median_error == pytest.approx(
        Spread.of(PHONE, [[0.9 + 0.02 * i for i in range(11)]]).median_error
    )
    assert made.notes == (
        "modelled cycles over 2.96 GHz and over 1.00, the median of modelled / published times of 11 float "
        "networks",
    )


WORSE = {f"n{i}": 2.0 ** (i - 5) for i in range(11)}
"""Ratios with a median error of 87%."""


@pytest.fixture
def like_fitted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tiny bundle is like the networks that the regression was fitted to."""
    predict = module.predict
    monkeypatch.setattr(module, "predict", lambda *words: replace(predict(*words), like_fitted=True))


@pytest.mark.usefixtures("like_fitted")
def test_the_smaller_error_wins(estimated: Estimate) -> None:
    made = estimated("855+", validation(d0=WORSE), "fp16")
    assert (made.method, made.frame) == ("predicted", None)
    assert made == estimated("855+", validation(d0=RATIOS), "fp16", instrument=None)
    assert estimated("855+", validation(d0=RATIOS), "fp16").method == "modelled"


def test_a_bundle_unlike_the_fitted_networks_is_modelled(estimated: Estimate) -> None:
    assert estimated("855+", validation(d0=WORSE), "fp16").method == "modelled"
    assert not estimated("855+", validation(d0=WORSE), "fp16", instrument=None).like_fitted


@pytest.mark.usefixtures("like_fitted")
def test_another_arithmetic_than_that_of_the_published_run_is_modelled(estimated: Estimate) -> None:
    made = estimated("855+", validation(d0=WORSE), "fp32")
    said = "fp32 is asked for, the published times are in fp16"
    assert made.method == "modelled"
    assert said in made.notes
    predicted = estimated("855+", validation(d0=WORSE), "fp32", instrument=None)
    assert f"{said}: so is this time; make arm-model to model fp32" in predicted.notes


def test_a_core_without_a_model_is_predicted(estimated: Estimate) -> None:
    made = estimated("Snapdragon 835", validation(d0=RATIOS))
    assert (made.method, made.cores) == ("predicted", "big")


def test_layers_that_the_regression_refuses_are_modelled(
    estimated: Estimate, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_bundle: object) -> None:
        raise GraphError("attention cannot be predicted")

    monkeypatch.setattr(module, "bundle_work", refuse)
    assert estimated("855+", validation(d0=RATIOS)).method == "modelled"
    with pytest.raises(GraphError, match="attention cannot be predicted"):
        estimated("Snapdragon 835", validation(d0=RATIOS))


def test_the_845_is_the_855_by_a_published_ratio(estimated: Estimate) -> None:
    known = validation(d0=RATIOS)
    made = {p: estimated("Snapdragon 845", known, p) for p in ("fp16", "fp32")}
    base = {p: estimated("Snapdragon 855", known, p) for p in ("fp16", "fp32")}
    for precision, (least, middle, most) in SNAPDRAGON_845.slower.items():
        ours, other = made[precision], base[precision]
        assert ours.milliseconds == pytest.approx(middle * other.milliseconds)
        assert (ours.low, ours.high) == pytest.approx((least * other.low, most * other.high))
        assert any("Cortex-A75 has no model" in note for note in ours.notes)
    assert base["fp16"].milliseconds == pytest.approx(UNPUBLISHED[0].milliseconds(NETWORKS, 0))
    assert made["fp16"].milliseconds < made["fp32"].milliseconds


def test_ratios_of_the_kind_of_the_bundle_serve() -> None:
    known = validation(d0=RATIOS)
    assert spread_on(PHONE, "float", known).networks == 11
    assert spread_on(PHONE, "int8", known).ratio == pytest.approx(0.525)


def test_a_device_with_few_published_times_takes_those_of_its_pipeline_model_then_of_all() -> None:
    few = dict(list(RATIOS.items())[: FEWEST - 1])
    a76, a55 = DEVICES[1], next(d for d in DEVICES if d.core == "cortex-a55")
    half = {name: ratio / 2 for name, ratio in RATIOS.items()}
    known = validation(d0=RATIOS, d1=few, **{f"d{DEVICES.index(a55)}": half})
    own, similar = spread_on(PHONE, "float", known), spread_on(a76, "float", known)
    assert own.source == ""
    assert (similar.ratio, similar.low, similar.high) == (own.ratio, own.low, own.high)
    assert similar.source.endswith("all devices with LLVM's neoverse-n1")
    x1 = Device("X", "cortex-x1", 3.0, line_ns=1.0)
    other = spread_on(x1, "float", known)
    assert other.source.endswith("all devices that are modelled")
    assert (other.low, other.high) == (own.low / 2, own.high)
    with pytest.raises(UsageError, match="X: no device has 6 published float networks"):
        spread_on(x1, "float", validation(d0=few))


def test_a_ratio_of_its_own_does_not_correct_a_network_or_a_device() -> None:
    one = Spread.of(PHONE, [[1.0, 1.0, 2.0]])
    assert one.ratio == 1.0
    assert one.median_error == pytest.approx(1 / 3)  # 1 / 1.5, 1 / 1.5 and 2 / 1 are off by 1/3, 1/3 and 1
    two = Spread.of(PHONE, [[1.0, 1.0], [2.0, 2.0, 2.0]])
    assert two.ratio == 2.0
    assert two.median_error == pytest.approx(1.0)  # 1 / 2 twice and 2 / 1 three times
    assert (two.low, two.high) == (1.0, 2.0)


@pytest.mark.parametrize("kind", ["float", "int8"])
@pytest.mark.parametrize("device", [*DEVICES, *UNPUBLISHED], ids=lambda device: device.name)
def test_every_device_has_a_band_in_the_shipped_validation(device: Device, kind: str) -> None:
    spread = spread_on(device, kind, load_validation())
    assert spread.low <= spread.ratio <= spread.high
    assert spread.networks >= FEWEST
