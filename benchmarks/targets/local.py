"""This machine, or an ARM processor that qemu's user mode emulates on it."""

import platform
import shutil
from collections.abc import Sequence
from pathlib import Path

from pocketdet.benchmarks.record import TargetKind
from pocketdet.benchmarks.targets.base import Ended, Tick, no_tick, run_child
from pocketdet.errors import UsageError
from pocketdet.runtime.native_build import QEMU

_OS_RELEASE = Path("/etc/os-release")


class LocalTarget:
    """Programs run where they are; nothing is copied."""

    kind: TargetKind = "local"
    address = "localhost"

    def architecture(self) -> str:
        """See `Target.architecture`."""
        return platform.machine()

    def properties(self) -> dict[str, str]:
        """See `Target.properties`."""
        return {"host": platform.node(), "distribution": _distribution()}

    def put(self, source: Path, tick: Tick = no_tick) -> str:
        """See `Target.put`."""
        return str(source.resolve())

    def run(self, words: Sequence[str], limit_s: float, tick: Tick) -> Ended:
        """See `Target.run`."""
        return run_child(words, limit_s, tick)

    def close(self) -> None:
        """Nothing was put anywhere."""


class EmulatedTarget(LocalTarget):
    """An emulated processor, such as cortex-a76. Proves what is computed; its time is never a speed.

    Raises `UsageError` if qemu is missing.
    """

    kind: TargetKind = "emulated"

    def __init__(self, cpu: str) -> None:
        if shutil.which(QEMU) is None:
            raise UsageError(f"--target emulated needs {QEMU}: on Debian, apt install qemu-user-static")
        self.address = cpu

    def architecture(self) -> str:
        """See `Target.architecture`."""
        return "aarch64"

    def properties(self) -> dict[str, str]:
        """See `Target.properties`."""
        return {"name": f"emulated {self.address}", "soc": f"qemu {self.address}"}

    def run(self, words: Sequence[str], limit_s: float, tick: Tick) -> Ended:
        """See `Target.run`."""
        return run_child([QEMU, *words], limit_s, tick, {"QEMU_CPU": self.address})


def _distribution() -> str:
    try:
        lines = _OS_RELEASE.read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    names = (line.partition("=")[2].strip('"') for line in lines if line.startswith("PRETTY_NAME="))
    return next(names, "")
