"""A target with the runner on it, ready to answer in JSON."""

import json
import os
import platform
import sys
from pathlib import Path
from typing import Any

from pocketdet.benchmarks.targets.app import PACKAGE, AppTarget
from pocketdet.benchmarks.targets.base import Target, Tick, last_line, no_tick
from pocketdet.errors import EngineError, UsageError
from pocketdet.runtime.native_build import AARCH64, AARCH64_HOST, X86_64

_X86 = ("x86_64", "amd64")
_ARM = ("aarch64", "arm64", "armv8l")
_START_S = 120.0
IN_PYTHON = (sys.executable, "-P", "-m", "pocketdet.benchmarks.targets.python_runner")


class Session:
    """The runner on one target. `close` removes what was put there."""

    def __init__(self, target: Target, runner: tuple[str, ...]) -> None:
        self.target = target
        self._runner = runner

    def ask(
        self, *words: str, limit_s: float = _START_S, tick: Tick = no_tick, may_fail: bool = False
    ) -> dict[str, Any]:
        """The document that a command of the runner writes; `may_fail` allows exit code 1.

        Raises `EngineError` with the runner's own sentence if it refuses, and with how it ended if it
        crashed, was killed, or its output is cut off.
        """
        where, command = str(self), f"the runner's {words[0]}"
        ended = self.target.run([*self._runner, *words], limit_s, tick)
        if ended.code == 2:
            raise EngineError(f"{where}: {command} refuses: {last_line(ended.err)}")
        if ended.code not in ((0, 1) if may_fail else (0,)):
            raise EngineError(f"{where}: {command} ended with {_code(ended.code)}: {last_line(ended.err)}")
        try:
            document = json.loads(ended.out)
        except ValueError:
            raise EngineError(
                f"{where}: {command} wrote {len(ended.out)} bytes that are no JSON document; "
                "the connection may have been cut, or the runner is of another version"
            ) from None
        if not isinstance(document, dict):
            raise EngineError(f"{where}: {command} wrote {type(document).__name__}, expected an object")
        return document

    def close(self) -> None:
        """See `Target.close`."""
        self.target.close()

    def __str__(self) -> str:
        return f"{self.target.kind}:{self.target.address}"


def open_session(target: Target, runner: Path | None = None, tick: Tick = no_tick) -> Session:
    """Put the runner on a target: `runner`, or the one that was built for its architecture.

    This machine falls back to the Python runtime; an app is its own runner. Raises `UsageError` if no runner
    can be had and how to build it, `EngineError` if it cannot be copied.
    """
    try:
        if isinstance(target, AppTarget):
            target.require_app()
            return Session(target, (PACKAGE,))
        found = runner or _built(target)
        if found is None:
            return Session(target, IN_PYTHON)
        if not found.is_file():
            raise UsageError(f"{found}: there is no runner; build it with: make native native-aarch64")
        word = target.put(found, tick)
        if target.kind in ("ssh", "adb"):
            target.run(["chmod", "755", word], _START_S, no_tick)
        return Session(target, (word,))
    except BaseException:
        target.close()
        raise


def _built(target: Target) -> Path | None:
    machine = target.architecture()
    build = X86_64 if machine in _X86 else AARCH64 if machine in _ARM else None
    is_here = target.kind == "local"
    if build is None:
        if is_here:
            return None
        raise UsageError(f"no runner is built for {machine!r}; expected aarch64 or x86_64, or give --runner")
    if is_here and platform.machine() in _ARM:
        build = AARCH64_HOST
    path = build.runner
    if path.is_file():
        return path
    if is_here and build.variable not in os.environ:
        return None
    name = "x86_64" if build is X86_64 else "aarch64"
    raise UsageError(
        f"{path}: there is no runner for {name}; build it with: make {build.recipe}, or give --runner"
    )


def _code(code: int) -> str:
    killed = -code if code < 0 else code - 128 if code > 128 else 0
    return f"signal {killed}" if killed else f"exit code {code}"
