"""What every target can do, and how programs of this machine are run on its behalf."""

import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pocketdet.benchmarks.record import TargetKind
from pocketdet.errors import EngineError

Tick = Callable[[], None]
"""Called about twice a second while a program runs; what it raises ends the program."""

_PAUSE_S = 0.5


def no_tick() -> None:
    """For those who do not wait."""


@dataclass(frozen=True)
class Ended:
    """How a program ended. A negative code is the signal that killed it."""

    code: int
    out: bytes
    err: str


class Target(Protocol):
    """A place to run the runner. Whatever is put there goes away with `close`."""

    kind: TargetKind
    address: str

    def architecture(self) -> str:
        """What `uname -m` says there."""

    def properties(self) -> dict[str, str]:
        """What the system tells of the device: `name`, `soc`, `system`, `release` where known, and others."""

    def put(self, source: Path, tick: Tick = no_tick) -> str:
        """Copy a file or folder there; the word that names it in `run`.

        Raises `EngineError` if it cannot be copied: device gone, disk full.
        """

    def run(self, words: Sequence[str], limit_s: float, tick: Tick) -> Ended:
        """Run a program to its end.

        Raises `EngineError` if the device is lost meanwhile, or it takes more than `limit_s` seconds.
        """

    def close(self) -> None:
        """Remove what was put there, as far as the device can still be reached."""


def run_child(
    words: Sequence[str], limit_s: float, tick: Tick = no_tick, extra: Mapping[str, str] | None = None
) -> Ended:
    """Run a program of this machine with nothing on its standard input and `extra` in its environment.

    It is killed if it takes too long or if `tick` raises. Raises `EngineError` if it cannot be started or
    takes more than `limit_s` seconds.
    """
    try:
        child = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **(extra or {})},
        )
    except OSError as error:
        raise EngineError(f"{words[0]}: cannot be started: {error.strerror or error}") from error
    end = time.monotonic() + limit_s
    try:
        while True:
            try:
                out, err = child.communicate(timeout=_PAUSE_S)
            except subprocess.TimeoutExpired:
                tick()
                if time.monotonic() > end:
                    name = Path(words[0]).name
                    raise EngineError(f"{name}: no answer within {limit_s:.0f} seconds") from None
            else:
                return Ended(child.returncode, out, err.decode(errors="replace"))
    finally:
        if child.poll() is None:
            child.kill()
            child.communicate()


def last_line(text: str) -> str:
    """The last line that says something, of what a program wrote to standard error."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:400] if lines else "it said nothing"
