"""This machine, or an ARM processor that qemu emulates on it in user mode."""

import platform
import shutil
from collections.abc import Sequence
from pathlib import Path

from pocketdet.benchmarks.record import TargetKind
from pocketdet.benchmarks.targets.base import ProcessResult, Tick, no_tick, run_process
from pocketdet.errors import UsageError
from pocketdet.runtime.native_build import QEMU

_OS_RELEASE = Path("/etc/os-release")


class LocalTarget:
    """This machine: programs run where they are, nothing is copied."""

    kind: TargetKind = "local"
    address = "localhost"

    def architecture(self) -> str:
        """Return the architecture (`Target.architecture`)."""
        return platform.machine()

    def properties(self) -> dict[str, str]:
        """Return host and distribution (`Target.properties`)."""
        return {"host": platform.node(), "distribution": _distribution()}

    def put(self, source: Path, tick: Tick = no_tick) -> str:
        """Return the path itself (`Target.put`)."""
        return str(source.resolve())

    def run(self, args: Sequence[str], limit_s: float, tick: Tick) -> ProcessResult:
        """Run a program to its end (`Target.run`)."""
        return run_process(args, limit_s, tick)

    def close(self) -> None:
        """Do nothing: nothing was copied."""


class EmulatedTarget(LocalTarget):
    """An emulated processor, such as cortex-a76: it verifies results, its times mean nothing.

    Args:
        cpu: Name of the processor, as qemu has it.

    Raises:
        UsageError: If qemu is missing.
    """

    kind: TargetKind = "emulated"

    def __init__(self, cpu: str) -> None:
        if shutil.which(QEMU) is None:
            raise UsageError(f"--target emulated needs {QEMU}: on Debian, apt install qemu-user-static")
        self.address = cpu

    def architecture(self) -> str:
        """Return the architecture (`Target.architecture`)."""
        return "aarch64"

    def properties(self) -> dict[str, str]:
        """Return host and distribution (`Target.properties`)."""
        return {"name": f"emulated {self.address}", "soc": f"qemu {self.address}"}

    def run(self, args: Sequence[str], limit_s: float, tick: Tick) -> ProcessResult:
        """Run a program under qemu (`Target.run`)."""
        return run_process([QEMU, *args], limit_s, tick, {"QEMU_CPU": self.address})


def _distribution() -> str:
    try:
        lines = _OS_RELEASE.read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    names = (line.partition("=")[2].strip('"') for line in lines if line.startswith("PRETTY_NAME="))
    return next(names, "")
