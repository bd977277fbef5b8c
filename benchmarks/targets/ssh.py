"""A Linux machine behind the system's ssh and scp, with the keys and the configuration of whoever calls."""

import shlex
import shutil
from pathlib import Path

from pocketdet.benchmarks.record import TargetKind
from pocketdet.benchmarks.targets.remote import RemoteTarget
from pocketdet.errors import UsageError

# No question is ever asked; a machine that went away is noticed within 15 seconds.
_OPTIONS = {
    "BatchMode": "yes",
    "ConnectTimeout": "15",
    "ServerAliveInterval": "5",
    "ServerAliveCountMax": "3",
}


class SshTarget(RemoteTarget):
    """`address` is what ssh takes: a host, user@host or a name of ~/.ssh/config. Raises `UsageError`."""

    kind: TargetKind = "ssh"

    def __init__(self, address: str) -> None:
        if not address or address.startswith("-") or any(c.isspace() for c in address):
            raise UsageError(f"--target ssh:{address}: expected ssh:HOST or ssh:USER@HOST")
        for program in ("ssh", "scp"):
            if shutil.which(program) is None:
                raise UsageError(f"--target ssh needs {program}: on Debian, apt install openssh-client")
        super().__init__(address)

    def shell(self, script: str) -> list[str]:
        """See `RemoteTarget.shell`."""
        return ["ssh", *_options(), "-T", self.address, f"sh -c {shlex.quote(script)}"]

    def copy(self, source: Path, folder: str) -> list[str]:
        """See `RemoteTarget.copy`."""
        return ["scp", *_options(), "-q", "-r", str(source.resolve()), f"{self.address}:{folder}/"]

    def make_folder(self) -> str:
        """See `RemoteTarget.make_folder`."""
        return self.ask('mktemp -d "${TMPDIR:-/tmp}/pocketdet-bench-XXXXXX"')

    def properties(self) -> dict[str, str]:
        """See `Target.properties`."""
        host, _, distribution = self.ask(
            'uname -n; (. /etc/os-release && echo "$PRETTY_NAME") 2>/dev/null || true'
        ).partition("\n")
        return {"host": host, "distribution": distribution.strip()}


def _options() -> list[str]:
    return [word for name, value in _OPTIONS.items() for word in ("-o", f"{name}={value}")]
