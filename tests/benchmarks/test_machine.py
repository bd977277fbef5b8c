"""The machine: its FMA peak and its description."""

import platform
from pathlib import Path

import pytest

from pocketdet.benchmarks import machine
from pocketdet.benchmarks.machine import (
    Peak,
    describe_machine,
    fma_peak,
    is_emulated,
    load_average,
    read_machine,
)
from pocketdet.runtime import _core


def test_the_peak_is_possible_and_of_one_instruction_set() -> None:
    first, second = fma_peak(), fma_peak()
    assert 0 < min(first[0], second[0]) <= max(first[0], second[0]) < 2000  # GFLOP/s; no core reaches 2000
    assert first[1] == second[1]
    features = {"avx512f": {"avx512f"}, "avx2+fma": {"avx2", "fma"}, "neon": {"neon"}, "c++": set()}
    assert features[first[1]] <= set(_core.cpu_features())


def test_wide_registers_are_used_if_the_processor_has_them() -> None:
    if not {"avx2", "fma"} <= set(_core.cpu_features()):
        pytest.skip("this processor has no AVX2")
    assert _core.fma_peak(3)[1] in ("avx2+fma", "avx512f")


@pytest.mark.parametrize("runs", [0, -1, 10_001])
def test_the_number_of_runs_is_bounded(runs: int) -> None:
    with pytest.raises(ValueError, match=r"runs: expected an integer in 1\.\.10000"):
        _core.fma_peak(runs)


def test_a_share_counts_a_mac_as_two_operations_of_the_better_peak() -> None:
    peak = Peak("avx2+fma", 90.0, 100.0)
    assert peak.gflops == 100
    assert peak.share(macs=25_000_000, milliseconds=1.0) == pytest.approx(0.5)


def test_the_machine_is_described() -> None:
    found = read_machine()
    assert found.processor
    assert found.architecture == platform.machine()
    assert found.cores >= 1
    assert {"python", "pocketdet", "ncnn", "numpy"} <= set(found.versions)
    assert found.load is None or found.load >= 0


@pytest.mark.parametrize(
    ("architecture", "field", "kernel", "emulated"),
    [
        ("aarch64", "vendor_id\t: AuthenticAMD", None, True),
        ("aarch64", "CPU implementer\t: 0x41", "x86_64", True),
        ("aarch64", "CPU implementer\t: 0x41", "aarch64", False),
        ("aarch64", "CPU implementer\t: 0x41", None, False),
        ("x86_64", "vendor_id\t: AuthenticAMD", "x86_64", False),
    ],
)
def test_an_arm_program_on_an_x86_is_emulated(
    architecture: str,
    field: str,
    kernel: str | None,
    emulated: bool,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    (tmp_path / "proc/sys/kernel").mkdir(parents=True)
    if kernel:
        (tmp_path / "proc/sys/kernel/arch").write_text(f"{kernel}\n")
    (tmp_path / "proc" / "cpuinfo").write_text(f"processor\t: 0\n{field}\n")
    monkeypatch.setattr(machine.platform, "machine", lambda: architecture)
    assert is_emulated(tmp_path) is emulated
    assert describe_machine(tmp_path)["emulated"] is emulated


def test_a_machine_that_reports_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def silent() -> tuple[float, float, float]:
        raise OSError

    monkeypatch.setattr(machine.platform, "processor", lambda: "")
    monkeypatch.setattr(machine.os, "getloadavg", silent)
    monkeypatch.setattr(machine, "_PACKAGES", ("no-such-package",))
    found = read_machine(tmp_path)
    assert (found.processor, found.governor, found.load) == ("unknown", None, None)
    assert load_average() is None
    assert list(found.versions) == ["python", "pocketdet"]
