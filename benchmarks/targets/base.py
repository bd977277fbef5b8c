"""What every target can do; this machine as a target, or an ARM processor that qemu emulates on it."""

import os
import platform
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pocketdet.benchmarks.record import TargetKind
from pocketdet.errors import EngineError, UsageError
from pocketdet.io import os_errors
from pocketdet.runtime.native_build import QEMU

Tick = Callable[[], None]
"""Called about twice a second while a program runs. An exception that it raises ends the program."""

_PAUSE_S = 0.5


def no_tick() -> None:
    """Do nothing: the tick of a caller that does not wait."""


@dataclass(frozen=True)
class ProcessResult:
    """How a program ended. A negative exit code is the signal that killed it."""

    code: int
    out: bytes
    err: str


class Target(Protocol):
    """A device, or this machine, that runs the runner. `close` removes whatever was copied there."""

    kind: TargetKind
    address: str

    def architecture(self) -> str:
        """Return what `uname -m` prints there."""
        ...

    def properties(self) -> dict[str, str]:
        """Return what the system reports: `name`, `soc`, `system`, `release` if known, and others."""
        ...

    def put(self, source: Path, tick: Tick = no_tick) -> str:
        """Copy a file or folder there.

        Args:
            source: The file or folder.
            tick: Called while it is copied.

        Returns:
            Its path there, for the arguments of `run`.

        Raises:
            EngineError: If it cannot be copied, such as for a lost device or a full disk.
        """
        ...

    def run(self, args: Sequence[str], limit_s: float, tick: Tick) -> ProcessResult:
        """Run a program to its end.

        Args:
            args: Program and arguments.
            limit_s: Seconds that it may take.
            tick: Called while it runs.

        Returns:
            Exit code and output.

        Raises:
            EngineError: If the device is lost meanwhile, or the program takes longer.
        """
        ...

    def close(self) -> None:
        """Remove what was copied there, if the device can still be reached."""


def run_process(
    args: Sequence[str], limit_s: float, tick: Tick = no_tick, env: Mapping[str, str] | None = None
) -> ProcessResult:
    """Run a program of this machine with empty standard input; kill it if it takes too long or `tick` raises.

    Args:
        args: Program and arguments.
        limit_s: Seconds that it may take.
        tick: Called while it runs.
        env: Variables added to the environment.

    Raises:
        EngineError: If the program cannot be started, or takes longer.
    """
    with os_errors(EngineError, f"{args[0]}: cannot be started"):
        child = subprocess.Popen(
            args,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **(env or {})},
        )
    end = time.monotonic() + limit_s
    try:
        while True:
            try:
                out, err = child.communicate(timeout=_PAUSE_S)
            except subprocess.TimeoutExpired:
                tick()
                if time.monotonic() > end:
                    name = Path(args[0]).name
                    raise EngineError(f"{name}: no answer within {limit_s:.0f} seconds") from None
            else:
                return ProcessResult(child.returncode, out, err.decode(errors="replace"))
    finally:
        if child.poll() is None:
            child.kill()
            child.communicate()


def last_line(text: str) -> str:
    """Return the last line of a program's standard error that is not blank, at most 400 characters."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:400] if lines else "it said nothing"


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
