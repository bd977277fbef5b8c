"""A device behind a client program (ssh or adb) that gives it a shell.

The exit code is told by the device's own shell on standard error, so that a lost connection is never taken
for the end of a program, whatever the client makes of it.
"""

import re
import shlex
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

from pocketdet.benchmarks.record import TargetKind
from pocketdet.benchmarks.targets.base import Ended, Tick, last_line, no_tick, run_child
from pocketdet.errors import EngineError

SHORT_S = 60.0
_COPY_S = 600.0
_EXIT = re.compile(r"pocketdet-exit (\d{1,3})\s*\Z")


class RemoteTarget(ABC):
    """What ssh and adb have in common. `shell` and `copy` are the words of their clients."""

    kind: TargetKind
    address: str

    def __init__(self, address: str) -> None:
        self.address = address
        self._folder: str | None = None

    @abstractmethod
    def shell(self, script: str) -> list[str]:
        """The command of this machine that runs a script on the device."""

    @abstractmethod
    def copy(self, source: Path, folder: str) -> list[str]:
        """The command of this machine that copies a file or folder into a folder of the device."""

    @abstractmethod
    def make_folder(self) -> str:
        """Make a folder of our own on the device that programs may be started from."""

    def architecture(self) -> str:
        """See `Target.architecture`."""
        return self.ask("uname -m")

    def ask(self, script: str) -> str:
        """Standard output of a short script. Raises `EngineError` if it fails or the device is gone."""
        ended = self._run_script(script, SHORT_S, no_tick)
        if ended.code != 0:
            raise EngineError(f"{self}: {script.split()[0]} failed: {last_line(ended.err)}")
        return ended.out.decode(errors="replace").strip()

    def put(self, source: Path, tick: Tick = no_tick) -> str:
        """See `Target.put`."""
        folder = self._folder = self._folder or self.make_folder()
        ended = run_child(self.copy(source, folder), _COPY_S, tick)
        if ended.code != 0:
            said = f"{ended.out.decode(errors='replace')}\n{ended.err}"
            errors = "\n".join(line for line in said.splitlines() if "error" in line)
            raise EngineError(f"{self}: {source.name} cannot be copied there: {last_line(errors or said)}")
        return f"{folder}/{source.name}"

    def run(self, words: Sequence[str], limit_s: float, tick: Tick) -> Ended:
        """See `Target.run`."""
        folder = self._folder = self._folder or self.make_folder()
        pid = shlex.quote(f"{folder}/pid")
        started = f"{shlex.join(words)} & p=$!; echo $p >{pid}; wait $p"
        try:
            return self._run_script(started, limit_s, tick)
        except BaseException:
            self._quietly(f"kill $(cat {pid})")
            raise

    def close(self) -> None:
        """See `Target.close`."""
        if self._folder is not None:
            self._quietly(f"rm -rf {shlex.quote(self._folder)}")
            self._folder = None

    def _run_script(self, script: str, limit_s: float, tick: Tick) -> Ended:
        command = self.shell(f'{script}; echo "pocketdet-exit $?" >&2')
        ended = run_child(command, limit_s, tick)
        found = _EXIT.search(ended.err)
        if found is None:
            raise EngineError(f"{self}: the connection was lost: {last_line(ended.err)}")
        return Ended(int(found[1]), ended.out, ended.err[: found.start()])

    def _quietly(self, script: str) -> None:
        """Tidy up; a device that is gone cannot be tidied."""
        try:
            run_child(self.shell(script), SHORT_S / 4)
        except EngineError:
            return

    def __str__(self) -> str:
        return f"{self.kind}:{self.address}"
