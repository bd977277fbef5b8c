"""The machine that a measurement was made on, as far as it tells."""

import importlib.metadata
import os
import platform
from dataclasses import dataclass
from pathlib import Path

from pocketdet import __version__
from pocketdet.runtime import _core

_PACKAGES = ("ncnn", "onnxruntime", "openvino", "numpy")
_CPU_INFO = Path("/proc/cpuinfo")
_DEVICE_TREE = Path("/proc/device-tree/model")
_GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")


@dataclass(frozen=True)
class Machine:
    """cores: those this process may use. governor and load (runnable tasks of the last minute): if known."""

    system: str
    processor: str
    architecture: str
    cores: int
    governor: str | None
    load: float | None
    versions: dict[str, str]


@dataclass(frozen=True)
class Peak:
    """The fastest that one thread multiplied and added float32 numbers; a multiply-add counts as two.

    Both were measured in the same way, one before and one after what is held against them.
    """

    instructions: str
    gflops_before: float
    gflops_after: float

    @property
    def gflops(self) -> float:
        """The better of the two: what the machine can do when nothing holds it back."""
        return max(self.gflops_before, self.gflops_after)

    def share(self, macs: int, milliseconds: float) -> float:
        """Part of the peak that `macs` multiply-adds in this time come to, 0..1.

        It may exceed 1 where an engine needs fewer multiplications than were counted (Winograd).
        """
        return 2e-6 * macs / milliseconds / self.gflops


def fma_peak() -> tuple[float, str]:
    """GFLOP/s of one thread and the instructions that were measured."""
    return _core.fma_peak()


def read_machine() -> Machine:
    """The machine at hand, as it is now."""
    return Machine(
        system=platform.platform(),
        processor=_processor(),
        architecture=platform.machine(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        governor=_read(_GOVERNOR),
        load=load_average(),
        versions={"python": platform.python_version(), "pocketdet": __version__, **_versions()},
    )


def load_average() -> float | None:
    """Runnable tasks, averaged over the last minute, where the system tells."""
    try:
        return round(os.getloadavg()[0], 2)
    except OSError:
        return None


def _processor() -> str:
    for line in (_read(_CPU_INFO) or "").splitlines():
        if line.startswith(("model name", "Model", "Hardware")):
            return line.split(":", 1)[1].strip()
    return _read(_DEVICE_TREE) or platform.processor() or "unknown"


def _read(path: Path) -> str | None:
    try:
        return path.read_text().strip("\0\n ")
    except OSError:
        return None


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
