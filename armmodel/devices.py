"""Devices whose core has a model: the clock, and the published run of ncnn's benchmark to compare with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final, Literal

from pocketdet.benchmarks.predict.coefficients import tokens
from pocketdet.errors import UsageError


@dataclass(frozen=True)
class Device:
    """One cluster of one device.

    Attributes:
        name: Name in tables.
        core: Name of the core that is modelled.
        ghz: Its highest clock in GHz, as the published run states it.
        published: Name of the published run (`read_runs`), "" if there is none.
        cores: The cores that the run was allowed to use.
        precision: The arithmetic that ncnn used in it.
        note: What is to be known about the run or the device.
        like: Without a published run: the name of the device whose published times stand for its own.
        slower: For a device whose core has no model: lowest, median and highest published ratio of its times
            to those of the modelled core, by arithmetic.
        line_ns: Nanoseconds for a line of 64 bytes that misses in the caches: the one constant of a
            device, fitted to its published times by `python -m pocketdet.armmodel.memory_fit`. 0 if it is not
            known: then its times are those of the pipeline alone.
    """

    name: str
    core: str
    ghz: float
    published: str = ""
    cores: Literal["all", "big", "little"] = "all"
    precision: Literal["fp32", "fp16"] = "fp16"
    note: str = ""
    like: str = ""
    slower: Mapping[str, tuple[float, float, float]] = field(default_factory=dict, hash=False)
    line_ns: float = 0.0

    def milliseconds(self, cycles: float, lines: int, precision: str = "fp16") -> float:
        """The time of modelled cycles in this arithmetic, and of the lines that miss in the caches."""
        return milliseconds(cycles, self.ghz, lines, self.line_ns) * self.slowdown(precision)[1]

    def slowdown(self, precision: str) -> tuple[float, float, float]:
        """Lowest, median and highest ratio of its times to those of the modelled core; 1 on that core."""
        return self.slower.get(precision) or self.slower.get("fp32", (1.0, 1.0, 1.0))


def milliseconds(cycles: float, ghz: float, lines: int, line_ns: float) -> float:
    """The time of cycles at a clock, and of lines of memory at so many nanoseconds each."""
    return (cycles / ghz + line_ns * lines) / 1e6


_CLUSTER = "the times are those of the 2.8 GHz cluster, not of the prime core"
_OLD = "an older ncnn, without half precision"
DEVICES = (
    Device("Snapdragon 855+", "cortex-a76", 2.96, "Qualcomm SM8150-AC Snapdragon 855+", "big", line_ns=0.4),
    Device("Raspberry Pi 5", "cortex-a76", 2.4, "Raspberry Pi 5 Broadcom BCM2712, Cortex-A76", line_ns=2.4),
    Device("RK3588", "cortex-a76", 2.4, "Rockchip RK3588 [2]", line_ns=5.4),
    Device(
        "RK3588S, Android",
        "cortex-a76",
        2.4,
        "Station-M3/ROC-RK3588S-PC, Rockchip RK3588S StationOS (Android)",
        line_ns=4.6,
    ),
    Device("RK3588, older ncnn", "cortex-a76", 2.4, "Rockchip RK3588", "big", "fp32", _OLD),
    Device("Jetson Orin Nano", "cortex-a78", 1.5, "NVIDIA Jetson Orin Nano", line_ns=0.7),
    Device("Jetson AGX Orin", "cortex-a78", 2.2, "NVIDIA Jetson AGX Orin", line_ns=1.7),
    Device(
        "Snapdragon 8 Gen 2, 2.8 GHz",
        "cortex-a715",
        2.8,
        "Qualcomm SM8550-AB Snapdragon 8 Gen 2",
        "big",
        note=_CLUSTER,
    ),
    Device("Radxa Orion O6", "cortex-a720", 2.6, "Radxa Orion O6", "big"),
    Device("Azure Cobalt 100", "neoverse-n2", 3.4, "Microsoft Azure Standard D64ps v6 Instance"),
    Device("Dimensity 9300", "cortex-x4", 3.25, "MediaTek Dimensity 9300 (MT6989)", "big"),
    Device(
        "RK3566, Android",
        "cortex-a55",
        1.8,
        "Station-M2/ROC-RK3566-PC, Rockchip RK3566 StationOS (Android)",
        line_ns=6.3,
    ),
    Device("RK3566, Orange Pi CM4", "cortex-a55", 1.8, "OrangePicm4, Rockchip Rk3566", line_ns=4.2),
    Device("RK3568, Station P2", "cortex-a55", 2.0, "Station P2, Rockchip RK3568", line_ns=17.6),
    Device("RK3568, Rock 3A", "cortex-a55", 2.0, "Rock3A, Rockchip RK3568 ubuntu 20.04", line_ns=27.0),
    Device("RK3588 A55, older ncnn", "cortex-a55", 1.8, "Rockchip RK3588", "little", "fp32", _OLD),
)

_855_PLUS: Final = DEVICES[0]
_855: Final = replace(
    _855_PLUS,
    name="Snapdragon 855",
    ghz=2.84,
    published="",
    note="the 855+ is this chip at 2.96 GHz",
    like=_855_PLUS.name,
)
SNAPDRAGON_845 = replace(
    _855,
    name="Snapdragon 845",
    note="its Cortex-A75 has no model: the time of the Snapdragon 855, whose Cortex-A76 runs at 2.84 GHz, "
    "times the ratio of both chips in Paddle-Lite's benchmark (v2.11, armv8, one thread on a big core): 1.9 "
    "in fp16 (7 networks, 1.9 to 2.0), 2.0 in fp32 (9 networks, 1.8 to 2.4)",
    slower=MappingProxyType({"fp16": (1.9, 1.9, 2.0), "fp32": (1.8, 2.0, 2.4)}),
)
UNPUBLISHED = (
    _855,
    SNAPDRAGON_845,
    Device("Snapdragon X Elite (X1E78100)", "oryon", 3.4, note="its published runs have twelve threads"),
)
"""Devices without a run in ncnn's benchmark. The ratios of int8, of which none is published, are those of the
arithmetic of the other layers."""


def find_devices(queries: Sequence[str]) -> list[Device]:
    """Look up devices by words of their names, without duplicates.

    Args:
        queries: Words such as "855+" or "pi 5".

    Returns:
        Every device whose name has all words of a query, in the order of the queries.

    Raises:
        UsageError: For a query that nothing matches.
    """
    found = {}
    for query in queries:
        words = tokens(query)
        matching = [device for device in DEVICES if words and words <= tokens(device.name)]
        if not matching:
            names = "; ".join(device.name for device in DEVICES)
            raise UsageError(f"--device {query!r}: no device whose core can be modelled; there are {names}")
        found.update({device.name: device for device in matching})
    return list(found.values())
