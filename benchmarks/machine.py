"""The machine that runs this process: processors, clocks, temperatures, battery, load, and its FMA peak.

`describe_machine`, `read_sensors` and `read_usage` return the documents that pocketdet-run writes, with the
same field names. What the system does not report is omitted. `root` stands for `/`, so that tests can
describe another machine.
"""

import importlib.metadata
import os
import platform
import resource
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pocketdet import __version__
from pocketdet.runtime import _core

ARM_64: Final = ("aarch64", "arm64", "armv8l")  # what `uname -m` prints on 64-bit ARM
_ROOT = Path("/")
_PACKAGES = ("ncnn", "onnxruntime", "openvino", "numpy")


@dataclass(frozen=True)
class Machine:
    """The machine in a report of `pocketdet bench-engines`.

    Attributes:
        system: Operating system and its release.
        processor: Name of the processor or the board.
        architecture: What `uname -m` prints.
        cores: Cores that this process may use.
        governor: Clock governor of core 0, if known.
        load: Runnable tasks of the last minute, if known.
        versions: Versions of Python and of the packages that are compared.
    """

    system: str
    processor: str
    architecture: str
    cores: int
    governor: str | None
    load: float | None
    versions: dict[str, str]


@dataclass(frozen=True)
class Peak:
    """The peak rate at which one thread multiplies and adds float32 numbers; a multiply-add counts as two.

    It is measured twice in the same way, before and after the engines.
    """

    instructions: str
    gflops_before: float
    gflops_after: float

    @property
    def gflops(self) -> float:
        """The higher of the two rates."""
        return max(self.gflops_before, self.gflops_after)

    def share(self, macs: int, milliseconds: float) -> float:
        """Compute the fraction of the peak that was reached.

        Returns:
            The fraction, 0..1. It may exceed 1 if an engine needs fewer multiplications than are counted
            (Winograd).
        """
        return 2e-6 * macs / milliseconds / self.gflops


def fma_peak() -> tuple[float, str]:
    """Measure GFLOP/s of one thread; returns them with the instruction set that was used."""
    return _core.fma_peak()


def is_emulated(root: Path = _ROOT) -> bool:
    """Whether this process runs on an ARM processor that an x86 emulates; the rule is that of pocketdet-run.

    Args:
        root: Folder that stands for `/`.

    Returns:
        True if the system shows the processors of an x86, as it does to a program in qemu's user mode; or the
        kernel of another machine, where an emulator shows processors of its own.
    """
    kernel = _read(root / "proc/sys/kernel/arch")  # from Linux 6.1 on
    is_x86 = kernel not in ("", "aarch64", "arm") or "vendor_id" in _read(root / "proc/cpuinfo")
    return platform.machine() in ARM_64 and is_x86


def read_machine(root: Path = _ROOT) -> Machine:
    """Describe the machine as it is now.

    Args:
        root: Folder that stands for `/`.

    Returns:
        The machine, with the versions of the packages that are installed.
    """
    return Machine(
        system=platform.platform(),
        processor=_processor(root),
        architecture=platform.machine(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        governor=_read(_cpu_folder(root, 0) / "cpufreq/scaling_governor") or None,
        load=load_average(),
        versions={"python": platform.python_version(), "pocketdet": __version__, **_versions()},
    )


def load_average() -> float | None:
    """Return the runnable tasks, averaged over the last minute; `None` if the system does not report them."""
    try:
        return round(os.getloadavg()[0], 2)
    except OSError:
        return None


def describe_machine(root: Path = _ROOT) -> dict[str, Any]:
    """Describe what does not change while the machine runs.

    Args:
        root: Folder that stands for `/`.

    Returns:
        The "machine" document of pocketdet-run. If the system lists no processors, `cpus` has those that
        this process may use.
    """
    machine: dict[str, Any] = {
        "system": platform.system(),
        "release": platform.release(),
        "architecture": platform.machine(),
        "emulated": is_emulated(root),
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
        core: dict[str, Any] = {"cpu": cpu}
        folder = _cpu_folder(root, cpu)
        _put(core, "least_khz", folder / "cpufreq/cpuinfo_min_freq")
        _put(core, "most_khz", folder / "cpufreq/cpuinfo_max_freq")
        _put(core, "capacity", folder / "cpu_capacity")
        machine["cpus"].append(core)
    return machine


def read_sensors(root: Path = _ROOT) -> dict[str, Any]:
    """Read what changes: clocks, temperatures, power supplies, load, and the ticks of all cores.

    Args:
        root: Folder that stands for `/`.

    Returns:
        The "sensors" document of pocketdet-run.
    """
    sensors: dict[str, Any] = {"cpus": [], "thermal": [], "power": []}
    for cpu in _cpus(root):
        core: dict[str, Any] = {"cpu": cpu}
        folder = _cpu_folder(root, cpu) / "cpufreq"
        _put(core, "khz", folder / "scaling_cur_freq")
        _put(core, "limit_khz", folder / "scaling_max_freq")
        _put(core, "governor", folder / "scaling_governor")
        sensors["cpus"].append(core)
    for folder in sorted((root / "sys/class/thermal").glob("thermal_zone*")):
        zone: dict[str, Any] = {"zone": folder.name}
        _put(zone, "type", folder / "type")
        _put(zone, "millidegrees", folder / "temp")
        sensors["thermal"].append(zone)
    for folder in sorted((root / "sys/class/power_supply").glob("*")):
        supply: dict[str, Any] = {"supply": folder.name}
        for name in ("type", "status", "capacity", "temp", "online"):
            _put(supply, name, folder / name)
        sensors["power"].append(supply)
    _put(sensors, "loadavg", root / "proc/loadavg")
    lines = _read(root / "proc/stat").splitlines()
    sensors["jiffies"] = [line for line in lines if line.startswith("cpu")]
    return sensors


def read_usage() -> dict[str, Any]:
    """Return what this process has used so far, as pocketdet-run reports it."""
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
    """Return the core that this thread ran on last, or -1 if the system does not report it."""
    fields = _read(_ROOT / "proc/thread-self/stat").rpartition(")")[2].split()
    return int(fields[36]) if len(fields) > 36 else -1


def cpu_khz(cpu: int, root: Path = _ROOT) -> int:
    """Read the clock of one core.

    Args:
        cpu: Number of the core.
        root: Folder that stands for `/`.

    Returns:
        Its clock in kHz, 0 if the system does not report it.
    """
    text = _read(_cpu_folder(root, cpu) / "cpufreq/scaling_cur_freq")
    return int(text) if text.isdigit() else 0


def _processor(root: Path) -> str:
    for line in _read(root / "proc/cpuinfo").splitlines():
        if line.startswith(("model name", "Model", "Hardware")):
            return line.split(":", 1)[1].strip()
    return _read(root / "proc/device-tree/model") or platform.processor() or "unknown"


def _versions() -> dict[str, str]:
    versions = {}
    for name in _PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def _cpus(root: Path) -> list[int]:
    names = (path.name.removeprefix("cpu") for path in (root / "sys/devices/system/cpu").glob("cpu[0-9]*"))
    return sorted(int(name) for name in names if name.isdigit()) or sorted(os.sched_getaffinity(0))


def _cpu_folder(root: Path, cpu: int) -> Path:
    return root / f"sys/devices/system/cpu/cpu{cpu}"


def _put(document: dict[str, Any], name: str, path: Path) -> None:
    """Set a field to what a file holds, a number if it is one; nothing if the file is missing or empty."""
    text = _read(path)
    if text:
        document[name] = int(text) if text.removeprefix("-").isdigit() else text


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip("\0\n ")
    except OSError:
        return ""
