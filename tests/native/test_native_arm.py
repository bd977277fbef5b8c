"""The ARM build on emulated processors: golden replays, and detections are those of this machine.

cortex-a57 has plain NEON, cortex-a76 half precision and dot products, max also bfloat16 and int8 matrices, so
that ncnn dispatches a different set of kernels on each. Emulated time is no measurement. A quick part of
helpers/emulated_parity.py, which compares a full detector on twenty images.
"""

from collections.abc import Callable
from pathlib import Path

import pytest
from native_runner import Runner
from same_detections import difference, found_in

FEATURES = {
    "cortex-a57": {"neon"},
    "cortex-a76": {"neon", "asimdhp", "asimddp"},
    "max": {"neon", "asimdhp", "asimddp", "bf16", "i8mm"},
}


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("cpu", FEATURES)
def test_golden_replays(
    arm_runner: Callable[[str], Runner], trained_bundle: Path, cpu: str, precision: str
) -> None:
    document = arm_runner(cpu).json("verify", trained_bundle, "--precision", precision)
    assert document["ok"] is True
    assert set(document["engine"]["cpu_features"]) >= FEATURES[cpu]
    has_half = "asimdhp" in FEATURES[cpu]
    assert document["engine"]["precision"] == ("fp16" if precision == "fp16" and has_half else "fp32")
    if cpu == "cortex-a57":
        assert document["engine"]["cpu_features"] == ["neon"]


def test_golden_of_a_full_detector_replays(
    arm_runner: Callable[[str], Runner], bundle_of: Callable[[str], Path]
) -> None:
    assert arm_runner("cortex-a76").json("verify", bundle_of("thundernet-snet49"))["ok"] is True


@pytest.mark.parametrize("cpu", FEATURES)
def test_detections_are_those_of_this_machine(
    arm_runner: Callable[[str], Runner],
    runner: Runner,
    trained_bundle: Path,
    scene_files: list[Path],
    cpu: str,
) -> None:
    here = found_in(runner.json("detect", trained_bundle, *scene_files))
    there = found_in(arm_runner(cpu).json("detect", trained_bundle, *scene_files))
    differs = difference(here, there, pixels=0.1, score=1e-3)
    assert differs.lost == 0, differs
    assert differs.total > 50


def test_half_precision_moves_few_detections(
    arm_runner: Callable[[str], Runner], runner: Runner, trained_bundle: Path, scene_files: list[Path]
) -> None:
    here = found_in(runner.json("detect", trained_bundle, *scene_files))
    there = found_in(
        arm_runner("cortex-a76").json("detect", trained_bundle, *scene_files, "--precision", "fp16")
    )
    differs = difference(here, there, pixels=4.0, score=5e-2)
    assert differs.lost <= 0.2 * differs.total, differs
    assert differs.pixels > 0.001  # rounded, so that it was half precision


def test_the_machine_is_known_to_be_emulated(arm_runner: Callable[[str], Runner], runner: Runner) -> None:
    assert arm_runner("max").json("machine")["machine"]["emulated"] is True
    assert runner.json("machine")["machine"]["emulated"] is False
