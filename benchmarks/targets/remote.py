"""A device behind a client program with a shell, and a Linux machine behind the system's ssh and scp.

The shell of the device reports the exit code on standard error, so that a lost connection is never mistaken
for the end of a program, whatever the client does.
"""

import re
import shlex
import shutil
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

from pocketdet.benchmarks.record import TargetKind
from pocketdet.benchmarks.targets.base import ProcessResult, Tick, last_line, no_tick, run_process
from pocketdet.errors import EngineError, UsageError

SHORT_S = 60.0
_COPY_S = 600.0
# ssh never prompts, and detects a lost machine within 15 seconds.
_SSH_OPTIONS = {
    "BatchMode": "yes",
    "ConnectTimeout": "15",
    "ServerAliveInterval": "5",
    "ServerAliveCountMax": "3",
}
_EXIT = re.compile(r"pocketdet-exit (\d{1,3})\s*\Z")


class RemoteTarget(ABC):
    """What ssh and adb have in common; `shell` and `copy` make the commands of their clients."""

    kind: TargetKind
    address: str

    def __init__(self, address: str) -> None:
        self.address = address
        self._folder: str | None = None

    @abstractmethod
    def shell(self, script: str) -> list[str]:
        """Make the command of this machine that runs a script on the device."""

    @abstractmethod
    def copy(self, source: Path, folder: str) -> list[str]:
        """Make the command of this machine that copies a file or folder into a folder of the device."""

    @abstractmethod
    def make_folder(self) -> str:
        """Make a new folder on the device from which programs may be started; returns its path."""

    def architecture(self) -> str:
        """Return the architecture (`Target.architecture`)."""
        return self.ask("uname -m")

    def ask(self, script: str) -> str:
        """Run a short script on the device.

        Args:
            script: The script, for `sh`.

        Returns:
            Its standard output without surrounding white space.

        Raises:
            EngineError: If it fails, or the device is lost.
        """
        ended = self._run_script(script, SHORT_S, no_tick)
        if ended.code != 0:
            raise EngineError(f"{self}: {script.split()[0]} failed: {last_line(ended.err)}")
        return ended.out.decode(errors="replace").strip()

    def put(self, source: Path, tick: Tick = no_tick) -> str:
        """Copy a file or folder into the folder on the device (`Target.put`)."""
        folder = self._folder = self._folder or self.make_folder()
        ended = run_process(self.copy(source, folder), _COPY_S, tick)
        if ended.code != 0:
            said = f"{ended.out.decode(errors='replace')}\n{ended.err}"
            errors = "\n".join(line for line in said.splitlines() if "error" in line)
            raise EngineError(f"{self}: {source.name} cannot be copied there: {last_line(errors or said)}")
        return f"{folder}/{source.name}"

    def run(self, args: Sequence[str], limit_s: float, tick: Tick) -> ProcessResult:
        """Run a program and end it if the wait for it ends early (`Target.run`)."""
        folder = self._folder = self._folder or self.make_folder()
        pid = shlex.quote(f"{folder}/pid")
        started = f"{shlex.join(args)} & p=$!; echo $p >{pid}; wait $p"
        try:
            return self._run_script(started, limit_s, tick)
        except BaseException:
            self._quietly(f"kill $(cat {pid})")
            raise

    def close(self) -> None:
        """Remove the folder on the device (`Target.close`)."""
        if self._folder is not None:
            self._quietly(f"rm -rf {shlex.quote(self._folder)}")
            self._folder = None

    def _run_script(self, script: str, limit_s: float, tick: Tick) -> ProcessResult:
        command = self.shell(f'{script}; echo "pocketdet-exit $?" >&2')
        ended = run_process(command, limit_s, tick)
        found = _EXIT.search(ended.err)
        if found is None:
            raise EngineError(f"{self}: the connection was lost: {last_line(ended.err)}")
        return ProcessResult(int(found[1]), ended.out, ended.err[: found.start()])

    def _quietly(self, script: str) -> None:
        """Run a script that cleans up; ignore a device that is lost."""
        try:
            run_process(self.shell(script), SHORT_S / 4)
        except EngineError:
            return

    def __str__(self) -> str:
        return f"{self.kind}:{self.address}"


class SshTarget(RemoteTarget):
    """A Linux machine, with the keys and the configuration of the user.

    Args:
        address: A host, user@host or a name of ~/.ssh/config.

    Raises:
        UsageError: If the address is not valid, or ssh or scp is missing.
    """

    kind: TargetKind = "ssh"

    def __init__(self, address: str) -> None:
        if not address or address.startswith("-") or any(c.isspace() for c in address):
            raise UsageError(f"--target ssh:{address}: expected ssh:HOST or ssh:USER@HOST")
        for program in ("ssh", "scp"):
            if shutil.which(program) is None:
                raise UsageError(f"--target ssh needs {program}: on Debian, apt install openssh-client")
        super().__init__(address)

    def shell(self, script: str) -> list[str]:
        """Make the ssh command (`RemoteTarget.shell`)."""
        return ["ssh", *_ssh_options(), "-T", self.address, f"sh -c {shlex.quote(script)}"]

    def copy(self, source: Path, folder: str) -> list[str]:
        """Make the scp command (`RemoteTarget.copy`)."""
        return ["scp", *_ssh_options(), "-q", "-r", str(source.resolve()), f"{self.address}:{folder}/"]

    def make_folder(self) -> str:
        """Make a folder in the temporary folder (`RemoteTarget.make_folder`)."""
        return self.ask('mktemp -d "${TMPDIR:-/tmp}/pocketdet-bench-XXXXXX"')

    def properties(self) -> dict[str, str]:
        """Return host and distribution (`Target.properties`)."""
        host, _, distribution = self.ask(
            'uname -n; (. /etc/os-release && echo "$PRETTY_NAME") 2>/dev/null || true'
        ).partition("\n")
        return {"host": host, "distribution": distribution.strip()}


def _ssh_options() -> list[str]:
    return [arg for name, value in _SSH_OPTIONS.items() for arg in ("-o", f"{name}={value}")]
