"""An Android device behind the system's adb client. Programs run as the shell user in /data/local/tmp."""

import secrets
import shlex
import shutil
from pathlib import Path

from pocketdet.benchmarks.record import TargetKind
from pocketdet.benchmarks.targets.base import last_line, run_child
from pocketdet.benchmarks.targets.remote import SHORT_S, RemoteTarget
from pocketdet.errors import EngineError, UsageError

_PROPERTIES = {
    "manufacturer": "ro.product.manufacturer",
    "model": "ro.product.model",
    "soc_manufacturer": "ro.soc.manufacturer",
    "soc_model": "ro.soc.model",
    "platform": "ro.board.platform",
    "android": "ro.build.version.release",
    "sdk": "ro.build.version.sdk",
    "build": "ro.build.fingerprint",
}
_STATES = {
    "unauthorized": "confirm 'Allow USB debugging' on its screen",
    "offline": "plug it in again, or adb kill-server",
    "no permissions": "the user may not open the USB device: add udev rules for it",
}
# ro.board.platform and ro.soc.model of chips whose names people know better
_CHIPS = {
    "sdm660": "Snapdragon 660",
    "msm8998": "Snapdragon 835",
    "sdm845": "Snapdragon 845",
    "sm8150": "Snapdragon 855",
    "msmnile": "Snapdragon 855",
    "sm8250": "Snapdragon 865",
    "kona": "Snapdragon 865",
    "sm8350": "Snapdragon 888",
    "lahaina": "Snapdragon 888",
    "sm8450": "Snapdragon 8 Gen 1",
    "sm8550": "Snapdragon 8 Gen 2",
    "sm8650": "Snapdragon 8 Gen 3",
}


class AdbTarget(RemoteTarget):
    """`address` is the serial number that `adb devices` shows."""

    kind: TargetKind = "adb"

    def shell(self, script: str) -> list[str]:
        """See `RemoteTarget.shell`."""
        return ["adb", "-s", self.address, "shell", script]

    def copy(self, source: Path, folder: str) -> list[str]:
        """See `RemoteTarget.copy`."""
        return ["adb", "-s", self.address, "push", str(source.resolve()), f"{folder}/"]

    def make_folder(self) -> str:
        """See `RemoteTarget.make_folder`."""
        folder = f"/data/local/tmp/pocketdet-bench-{secrets.token_hex(4)}"
        self.ask(f"mkdir {shlex.quote(folder)}")
        return folder

    def properties(self) -> dict[str, str]:
        """See `Target.properties`."""
        lines = self.ask("; ".join(f"getprop {name}" for name in _PROPERTIES.values())).split("\n")
        lines += [""] * (len(_PROPERTIES) - len(lines))
        found = {name: line.strip() for name, line in zip(_PROPERTIES, lines, strict=False)}
        chip = found["soc_model"] or found["platform"]
        model = f"{found['manufacturer']} {found['model']}".strip()
        return {
            "name": model,
            "soc": _CHIPS.get(chip.lower(), f"{found['soc_manufacturer']} {chip}".strip()),
            "system": "Android",
            "release": found["android"],
            **found,
        }


def adb_devices() -> dict[str, str]:
    """The state of every device by its serial number; those that can be used say "device".

    Raises `UsageError` if adb is missing or sees no device at all, `EngineError` if it fails.
    """
    if shutil.which("adb") is None:
        raise UsageError("--target adb needs adb: on Debian, apt install adb")
    ended = run_child(["adb", "devices"], SHORT_S)
    if ended.code != 0:
        raise EngineError(f"adb devices failed: {last_line(ended.err)}")
    states = {}
    for line in ended.out.decode(errors="replace").splitlines():
        serial, tab, state = line.partition("\t")
        if tab:
            states[serial] = state.strip()
    if not states:
        raise UsageError(
            "adb sees no device: plug one in, switch on USB debugging in its developer options, "
            "and look at: adb devices"
        )
    return states


def require_ready(serial: str, state: str) -> None:
    """Raise `UsageError` with what to do, if a device of this state cannot be used."""
    if state != "device":
        advice = next((words for known, words in _STATES.items() if state.startswith(known)), "wait for it")
        raise UsageError(f"adb:{serial} is not ready ({state}): {advice}")
