"""Cores, devices, and the machine that an emulated program sees."""

from dataclasses import replace
from pathlib import Path

import pytest

from pocketdet.armmodel.cores import CORES, find_cores
from pocketdet.armmodel.devices import DEVICES, find_devices
from pocketdet.armmodel.emulate import write_machine
from pocketdet.errors import UsageError


def test_cores_by_full_and_short_name() -> None:
    assert find_cores(["a76", "cortex-a76", "Oryon"]) == [CORES["cortex-a76"], CORES["oryon"]]
    with pytest.raises(UsageError, match="--core cortex-a53: there is no pipeline model; expected one of"):
        find_cores(["cortex-a53"])


def test_devices_by_words() -> None:
    assert [device.name for device in find_devices(["855+", "pi 5"])] == ["Snapdragon 855+", "Raspberry Pi 5"]
    for query in ("", "kryo"):
        with pytest.raises(UsageError, match="no device whose core can be modelled"):
            find_devices([query])


def test_every_device_has_a_core() -> None:
    assert {device.core for device in DEVICES} <= CORES.keys()
    assert len({device.name for device in DEVICES}) == len(DEVICES)


def test_cores_with_the_same_kernels_share_an_emulation() -> None:
    assert CORES["cortex-a76"].kernels == CORES["cortex-a78"].kernels
    assert CORES["cortex-a76"].kernels != CORES["cortex-a55"].kernels
    assert CORES["cortex-a76"].kernels != CORES["cortex-a710"].kernels
    smaller = replace(CORES["cortex-a76"], l1_kib=32)  # other lines miss
    assert smaller.kernels != CORES["cortex-a76"].kernels


def test_the_machine_has_one_processor_with_the_caches_of_the_core(tmp_path: Path) -> None:
    write_machine(CORES["cortex-a55"], tmp_path)
    assert (tmp_path / "proc/cpuinfo").read_text().count("processor") == 1
    assert "0xd05" in (tmp_path / "proc/cpuinfo").read_text()
    cpu = tmp_path / "sys/devices/system/cpu/cpu0"
    assert (cpu / "regs/identification/midr_el1").read_text() == "0x00000000410fd050\n"
    assert (cpu / "cache/index2/size").read_text() == "128K\n"
    assert (cpu / "cache/index2/level").read_text() == "2\n"
