"""Processors, clocks, temperatures, battery and load of this machine, in pocketdet-run's words.

What the system does not tell is left out. `root` stands for `/`, so that tests can show another machine.
"""

import os
import platform
import resource
from pathlib import Path
from typing import Any

from pocketdet.runtime import _core

_ROOT = Path("/")


def describe_machine(root: Path = _ROOT) -> dict[str, Any]:
    """What does not change. Where the system lists no processors, those that this process may use count."""
    machine: dict[str, Any] = {
        "system": platform.system(),
        "release": platform.release(),
        "architecture": platform.machine(),
        "emulated": False,
        "cpu_features": list(_core.cpu_features()),
        "memory_bytes": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGESIZE"),
    }
    for line in _read(root / "proc/cpuinfo").splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("model name", "Hardware") and value.strip():
            machine.setdefault(name.strip(), [value.strip()])
    _put(machine, "device_model", root / "proc/device-tree/model")
    machine["cpus"] = []
    for cpu in _cpus(root):
        one: dict[str, Any] = {"cpu": cpu}
        folder = _cpu_folder(root, cpu)
        _put(one, "least_khz", folder / "cpufreq/cpuinfo_min_freq")
        _put(one, "most_khz", folder / "cpufreq/cpuinfo_max_freq")
        _put(one, "capacity", folder / "cpu_capacity")
        machine["cpus"].append(one)
    return machine


def read_sensors(root: Path = _ROOT) -> dict[str, Any]:
    """What does change."""
    sensors: dict[str, Any] = {"cpus": [], "thermal": [], "power": []}
    for cpu in _cpus(root):
        one: dict[str, Any] = {"cpu": cpu}
        folder = _cpu_folder(root, cpu) / "cpufreq"
        _put(one, "khz", folder / "scaling_cur_freq")
        _put(one, "limit_khz", folder / "scaling_max_freq")
        _put(one, "governor", folder / "scaling_governor")
        sensors["cpus"].append(one)
    for zone in sorted((root / "sys/class/thermal").glob("thermal_zone*")):
        one = {"zone": zone.name}
        _put(one, "type", zone / "type")
        _put(one, "millidegrees", zone / "temp")
        sensors["thermal"].append(one)
    for supply in sorted((root / "sys/class/power_supply").glob("*")):
        one = {"supply": supply.name}
        for name in ("type", "status", "capacity", "temp", "online"):
            _put(one, name, supply / name)
        sensors["power"].append(one)
    _put(sensors, "loadavg", root / "proc/loadavg")
    lines = _read(root / "proc/stat").splitlines()
    sensors["jiffies"] = [line for line in lines if line.startswith("cpu")]
    return sensors


def read_usage() -> dict[str, Any]:
    """What this process used so far."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "user_s": usage.ru_utime,
        "system_s": usage.ru_stime,
        "page_faults": usage.ru_minflt + usage.ru_majflt,
        "switched_out_itself": usage.ru_nvcsw,
        "switched_out_by_others": usage.ru_nivcsw,
        "most_memory_kib": usage.ru_maxrss,
    }


def current_cpu() -> int:
    """The core this thread ran on last, -1 if the system does not tell."""
    fields = _read(_ROOT / "proc/thread-self/stat").rpartition(")")[2].split()
    return int(fields[36]) if len(fields) > 36 else -1


def cpu_khz(cpu: int, root: Path = _ROOT) -> int:
    """The clock of one core now, 0 if the system does not tell."""
    text = _read(_cpu_folder(root, cpu) / "cpufreq/scaling_cur_freq")
    return int(text) if text.isdigit() else 0


def _cpus(root: Path) -> list[int]:
    names = (path.name.removeprefix("cpu") for path in (root / "sys/devices/system/cpu").glob("cpu[0-9]*"))
    return sorted(int(name) for name in names if name.isdigit()) or sorted(os.sched_getaffinity(0))


def _cpu_folder(root: Path, cpu: int) -> Path:
    return root / f"sys/devices/system/cpu/cpu{cpu}"


def _put(record: dict[str, Any], name: str, path: Path) -> None:
    text = _read(path)
    if text:
        record[name] = int(text) if text.removeprefix("-").isdigit() else text


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip("\0\n ")
    except OSError:
        return ""
