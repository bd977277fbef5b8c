"""Parse the values of --target, open a target, and start the runner on it."""

import json
import os
import platform
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pocketdet.benchmarks.machine import ARM_64
from pocketdet.benchmarks.targets.adb import PACKAGE, AdbTarget, AppTarget, adb_devices, require_ready
from pocketdet.benchmarks.targets.base import EmulatedTarget, LocalTarget, Target, Tick, last_line, no_tick
from pocketdet.benchmarks.targets.remote import SshTarget
from pocketdet.errors import EngineError, UsageError
from pocketdet.runtime.native_build import AARCH64, AARCH64_HOST, X86_64

_X86 = ("x86_64", "amd64")
_START_S = 120.0
PYTHON_RUNNER = (sys.executable, "-P", "-m", "pocketdet.benchmarks.targets.python_runner")
EMULATED_CPU = "cortex-a76"
TARGET_FORMS = "local, ssh:HOST, adb, adb:SERIAL, adb:all, emulated or emulated:CPU"


def parse_targets(values: Sequence[str]) -> list[str]:
    """Parse the values of --target.

    Args:
        values: The values, such as "local", "ssh:HOST" or "adb:all".

    Returns:
        One value for each target, adb with serial numbers, without duplicates.

    Raises:
        UsageError: If a value is not valid, adb without a serial number is ambiguous, or a device does not
            exist or is not ready.
    """
    targets = []
    for value in values:
        kind, colon, address = value.partition(":")
        if kind == "adb":
            targets += _adb(address, value)
        elif value in ("local", "emulated") or (kind in ("ssh", "emulated") and colon and address):
            targets.append(value)
        else:
            raise UsageError(f"--target {value}: expected {TARGET_FORMS}")
    return list(dict.fromkeys(targets))


def through_app(targets: Sequence[str]) -> list[str]:
    """Use the camera app of Android devices as the runner.

    Args:
        targets: Targets as `parse_targets` returns them.

    Returns:
        The same devices, for `open_target`.

    Raises:
        UsageError: If a target is not behind adb.
    """
    for target in targets:
        if not target.startswith("adb:"):
            raise UsageError(
                f"--via app: the camera app runs on Android devices, not on {target}; use --target adb"
            )
    return [f"app:{target.removeprefix('adb:')}" for target in targets]


def open_target(value: str) -> Target:
    """Open a target.

    Args:
        value: A value that `parse_targets` or `through_app` returns.

    Raises:
        UsageError: If a program for it is missing.
    """
    kind, _, address = value.partition(":")
    if kind in ("adb", "app"):
        return AdbTarget(address) if kind == "adb" else AppTarget(address)
    if kind == "ssh":
        return SshTarget(address)
    return EmulatedTarget(address or EMULATED_CPU) if kind == "emulated" else LocalTarget()


def _adb(address: str, value: str) -> list[str]:
    states = adb_devices()
    ready = [serial for serial, state in states.items() if state == "device"]
    listed = ", ".join(f"adb:{serial}" for serial in states)
    if address and address != "all" and address not in states:
        raise UsageError(f"--target {value}: no such device; there is {listed}")
    if not address and len(ready) > 1:
        raise UsageError(f"--target {value}: {len(ready)} devices are there; choose {listed}, or adb:all")
    chosen = list(states) if address == "all" else [address or (ready or list(states))[0]]
    for serial in chosen:
        require_ready(serial, states[serial])
    return [f"adb:{serial}" for serial in chosen]


class Session:
    """The runner on one target.

    Args:
        target: The target.
        runner: The command that starts the runner there.
    """

    def __init__(self, target: Target, runner: tuple[str, ...]) -> None:
        self.target = target
        self._runner = runner

    def ask(
        self, *args: str, limit_s: float = _START_S, tick: Tick = no_tick, may_fail: bool = False
    ) -> dict[str, Any]:
        """Run a command of the runner.

        Args:
            *args: Command and arguments.
            limit_s: Seconds that it may take.
            tick: Called while it runs.
            may_fail: Whether exit code 1, a check that failed, is allowed.

        Returns:
            The JSON document that it writes.

        Raises:
            EngineError: If the runner refuses, crashes or is killed, or its output is cut off.
        """
        where, command = str(self), f"the runner's {args[0]}"
        result = self.target.run([*self._runner, *args], limit_s, tick)
        if result.code == 2:
            raise EngineError(f"{where}: {command} refuses: {last_line(result.err)}")
        if result.code not in ((0, 1) if may_fail else (0,)):
            how = f"{_describe_code(result.code)}: {last_line(result.err)}"
            raise EngineError(f"{where}: {command} ended with {how}")
        try:
            document = json.loads(result.out)
        except ValueError:
            raise EngineError(
                f"{where}: {command} wrote {len(result.out)} bytes that are no JSON document; "
                "the connection may have been cut, or the runner is of another version"
            ) from None
        if not isinstance(document, dict):
            raise EngineError(f"{where}: {command} wrote {type(document).__name__}, expected an object")
        return document

    def close(self) -> None:
        """Remove what was copied to the target."""
        self.target.close()

    def __str__(self) -> str:
        return f"{self.target.kind}:{self.target.address}"


def open_session(target: Target, runner: Path | None = None, tick: Tick = no_tick) -> Session:
    """Copy the runner to a target. This machine falls back to the Python runner; an app is its own runner.

    Args:
        target: The target; it is closed if this fails.
        runner: The runner's file; by default the one that was built for the architecture of the target.
        tick: Called while it is copied.

    Raises:
        UsageError: If there is no runner for the target; the message says how to build it.
        EngineError: If it cannot be copied.
    """
    try:
        if isinstance(target, AppTarget):
            target.require_app()
            return Session(target, (PACKAGE,))
        file = runner or _built(target)
        if file is None:
            return Session(target, PYTHON_RUNNER)
        if not file.is_file():
            raise UsageError(f"{file}: there is no runner; build it with: make native native-aarch64")
        path = target.put(file, tick)
        if target.kind in ("ssh", "adb"):
            target.run(["chmod", "755", path], _START_S, no_tick)
        return Session(target, (path,))
    except BaseException:
        target.close()
        raise


def _built(target: Target) -> Path | None:
    machine = target.architecture()
    build = X86_64 if machine in _X86 else AARCH64 if machine in ARM_64 else None
    is_here = target.kind == "local"
    if build is None:
        if is_here:
            return None
        raise UsageError(f"no runner is built for {machine!r}; expected aarch64 or x86_64, or give --runner")
    if is_here and platform.machine() in ARM_64:
        build = AARCH64_HOST
    path = build.runner
    if path.is_file():
        return path
    if is_here and build.variable not in os.environ:
        return None
    raise UsageError(
        f"{path}: there is no runner for {build.machine}; build it with: make {build.recipe}, "
        "or give --runner"
    )


def _describe_code(code: int) -> str:
    killed = -code if code < 0 else code - 128 if code > 128 else 0
    return f"signal {killed}" if killed else f"exit code {code}"
