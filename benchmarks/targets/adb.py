"""An Android device behind the system's adb client: as a shell, or with the camera app as the runner.

Programs run as the shell user in /data/local/tmp, which is never in the foreground. The app is in the
foreground while it measures, as when it is used: a command becomes `am start` of its BenchActivity,
which writes the document of pocketdet-run and then a marker to the app's files (android_demo/README.md).
"""

import secrets
import shlex
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from pocketdet.benchmarks.phones import load_phones
from pocketdet.benchmarks.record import TargetKind
from pocketdet.benchmarks.targets.base import ProcessResult, Tick, last_line, run_process
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

PACKAGE: Final = "io.pocketdet.app"
_ACTIVITY = f"{PACKAGE}/.BenchActivity"
_FILES = f"/sdcard/Android/data/{PACKAGE}/files/bench"
_KINDS = {
    "frames": "--ei",
    "warmup": "--ei",
    "cpu": "--ei",
    "rois": "--ei",
    "seconds": "--ef",
    "layers": "--ez",
}
_FLAGS = tuple(f"--{name}" for name, kind in _KINDS.items() if kind == "--ez")  # true or false to am
_DIED = "the app ended without an answer: it crashed or was closed; look at adb logcat"
# "am start" reports failures as text; an app that ends between two checks may have answered before
_SCRIPT = """(
said=$({start} 2>&1)
case "$said" in *Error*|*Exception*) echo "$said" | tr '\\n' ' ' >&2; exit 2;; esac
while [ ! -e {out}.done ] && [ ! -e {out}.failed ]; do
  if ! pidof {package} >/dev/null && [ ! -e {out}.done ] && [ ! -e {out}.failed ]; then
    echo {died} >&2; exit 1
  fi
  sleep 1
done
if [ -e {out}.failed ]; then cat {out}.failed >&2; exit 2; fi
cat {out}
)"""


class AdbTarget(RemoteTarget):
    """The shell of a device.

    Args:
        address: Serial number as `adb devices` lists it.
    """

    kind: TargetKind = "adb"

    def shell(self, script: str) -> list[str]:
        """Make the adb command (`RemoteTarget.shell`)."""
        return ["adb", "-s", self.address, "shell", script]

    def copy(self, source: Path, folder: str) -> list[str]:
        """Make the adb push command (`RemoteTarget.copy`)."""
        return ["adb", "-s", self.address, "push", str(source.resolve()), f"{folder}/"]

    def make_folder(self) -> str:
        """Make a folder in /data/local/tmp (`RemoteTarget.make_folder`)."""
        folder = f"/data/local/tmp/pocketdet-bench-{secrets.token_hex(4)}"
        self.ask(f"mkdir {shlex.quote(folder)}")
        return folder

    def properties(self) -> dict[str, str]:
        """Return model, chip and version of Android (`Target.properties`)."""
        lines = self.ask("; ".join(f"getprop {name}" for name in _PROPERTIES.values())).split("\n")
        lines += [""] * (len(_PROPERTIES) - len(lines))
        found = {name: line.strip() for name, line in zip(_PROPERTIES, lines, strict=False)}
        chip = found["soc_model"] or found["platform"]
        model = f"{found['manufacturer']} {found['model']}".strip()
        return {
            "name": model,
            "soc": load_phones().chip_of(chip) or f"{found['soc_manufacturer']} {chip}".strip(),
            "system": "Android",
            "release": found["android"],
            **found,
        }


class AppTarget(AdbTarget):
    """The camera app of a device. Bundles and images are pushed to a folder that the app may read.

    Args:
        address: Serial number as `adb devices` lists it.
    """

    def make_folder(self) -> str:
        """Make a folder in that of the app, which exists since the app described the machine."""
        folder = f"{_FILES}/{secrets.token_hex(4)}"
        self.ask(f"mkdir {shlex.quote(folder)}")
        return folder

    def require_app(self) -> None:
        """Raise `UsageError` if the app is not installed."""
        if f"package:{PACKAGE}" not in self.ask(f"pm list packages {PACKAGE}").split():
            raise UsageError(
                f"{self}: {PACKAGE} is not installed there; build it as android_demo/README.md says"
            )

    def run(self, args: Sequence[str], limit_s: float, tick: Tick) -> ProcessResult:
        """Let the app run a command of pocketdet-run (`Target.run`).

        Exit codes are those of pocketdet-run, except for checks that fail: the document reports those.

        Args:
            args: The command line of pocketdet-run.
            limit_s: Seconds that it may take.
            tick: Called while it runs.

        Raises:
            EngineError: If the device is lost meanwhile, or the command takes longer.
        """
        out = f"{secrets.token_hex(8)}.json"
        start = ["am", "start", "-S", "-W", "-n", _ACTIVITY, *_extras(args[1:], out)]
        script = _SCRIPT.format(
            start=shlex.join(start), out=f"{_FILES}/{out}", package=PACKAGE, died=shlex.quote(_DIED)
        )
        try:
            return self._run_script(script, limit_s, tick)
        finally:
            self._quietly(f"am force-stop {PACKAGE}; rm -f {_FILES}/{out}*")


def _extras(args: Sequence[str], out: str) -> list[str]:
    """Convert arguments of pocketdet-run to extras of `am start`."""
    command, *rest = args
    options = next((i for i, arg in enumerate(rest) if arg.startswith("--")), len(rest))
    paths = rest[:options]
    pairs = [word for arg in rest[options:] for word in ((arg, "true") if arg in _FLAGS else (arg,))]
    extras = {"out": out, "command": command}
    if paths:
        extras["bundle"] = paths[0]
    if paths[1:]:
        extras["images"] = ",".join(paths[1:])
    extras |= {name.removeprefix("--"): value for name, value in zip(pairs[::2], pairs[1::2], strict=True)}
    return [arg for name, value in extras.items() for arg in (_KINDS.get(name, "--es"), name, value)]


def adb_devices() -> dict[str, str]:
    """List the devices that adb sees.

    Returns:
        State by serial number; a device that can be used has the state "device".

    Raises:
        UsageError: If adb is missing or sees no device.
        EngineError: If adb fails.
    """
    if shutil.which("adb") is None:
        raise UsageError("--target adb needs adb: on Debian, apt install adb")
    result = run_process(["adb", "devices"], SHORT_S)
    if result.code != 0:
        raise EngineError(f"adb devices failed: {last_line(result.err)}")
    states = {}
    for line in result.out.decode(errors="replace").splitlines():
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
    """Check that a device can be used.

    Args:
        serial: Its serial number.
        state: Its state as `adb_devices` returns it.

    Raises:
        UsageError: If it cannot be used; the message says what to do.
    """
    if state != "device":
        advice = next((text for known, text in _STATES.items() if state.startswith(known)), "wait for it")
        raise UsageError(f"adb:{serial} is not ready ({state}): {advice}")
