"""Storage and arithmetic: what is asked of ncnn, what each processor can do, and what is said of it."""

import itertools

import ncnn
import pytest

from pocketdet.runtime.precision import (
    ARITHMETICS,
    STORAGES,
    Arithmetic,
    Precision,
    arithmetic_in_use,
    fallback_note,
    narrowest,
    ncnn_switches,
)


@pytest.mark.parametrize(
    ("arithmetic", "on"),
    [
        ("fp32", set()),
        ("fp16-storage", {"use_fp16_packed", "use_fp16_storage"}),
        ("fp16", {"use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic"}),
        ("bf16-storage", {"use_bf16_packed", "use_bf16_storage"}),
    ],
)
def test_switches_are_those_of_ncnn(arithmetic: Arithmetic, on: set[str]) -> None:
    switches = ncnn_switches(arithmetic)
    assert {name for name, value in switches.items() if value} == on
    option = ncnn.Option()
    floating = {name for name in dir(option) if name.startswith(("use_fp16_", "use_bf16_"))}
    assert set(switches) == {name for name in floating if not name.endswith("uniform")}


@pytest.mark.parametrize("asked", ARITHMETICS)
@pytest.mark.parametrize(("arm", "half"), [(False, False), (True, False), (True, True)])
def test_arithmetic_in_use_falls_back_to_fp32(asked: Arithmetic, arm: bool, half: bool) -> None:
    used = arithmetic_in_use(asked, arm=arm, half=half)
    can = {"fp32": True, "fp16-storage": half, "fp16": half, "bf16-storage": arm}
    assert used == (asked if can[asked] else "fp32")
    sentence = fallback_note(asked, used)
    assert (sentence == "") == can[asked]
    assert can[asked] or sentence.startswith(
        f"{asked} was requested and fp32 is in use: {asked} needs ncnn on a"
    )


def test_precision_text_is_unique() -> None:
    assert str(Precision("fp16", "fp32")) == "fp16 weights, fp32 arithmetic"
    assert str(Precision("int8", "fp16")) == "int8 weights computed in int8, other layers in fp16"
    words = {str(Precision(s, a)) for s, a in itertools.product(STORAGES, ARITHMETICS)}
    assert len(words) == len(STORAGES) * len(ARITHMETICS)


def test_narrowest_returns_the_lowest_precision() -> None:
    assert narrowest(["fp16", "fp32"]) == "fp16"
    assert narrowest(["fp32"]) == "fp32"
