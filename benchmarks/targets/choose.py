"""The words after --target."""

from collections.abc import Sequence

from pocketdet.benchmarks.targets.adb import AdbTarget, adb_devices, require_ready
from pocketdet.benchmarks.targets.app import AppTarget
from pocketdet.benchmarks.targets.base import Target
from pocketdet.benchmarks.targets.local import EmulatedTarget, LocalTarget
from pocketdet.benchmarks.targets.ssh import SshTarget
from pocketdet.errors import UsageError

EMULATED_CPU = "cortex-a76"
FORMS = "local, ssh:HOST, adb, adb:SERIAL, adb:all, emulated or emulated:CPU"


def parse_targets(words: Sequence[str]) -> list[str]:
    """The targets that some words stand for, one word each, adb with its serials; each once.

    Raises `UsageError` for a word that is none, for adb without a serial where there are several devices,
    for a serial that is not there, and for a device that is not ready.
    """
    found = []
    for word in words:
        kind, colon, address = word.partition(":")
        if kind == "adb":
            found += _adb(address, word)
        elif word in ("local", "emulated") or (kind in ("ssh", "emulated") and colon and address):
            found.append(word)
        else:
            raise UsageError(f"--target {word}: expected {FORMS}")
    return list(dict.fromkeys(found))


def through_app(words: Sequence[str]) -> list[str]:
    """The same devices, words that `parse_targets` gave, with the camera app as the runner.

    Raises `UsageError` for one that is not behind adb.
    """
    for word in words:
        if not word.startswith("adb:"):
            raise UsageError(
                f"--via app: the camera app runs on Android devices, not on {word}; use --target adb"
            )
    return [f"app:{word.removeprefix('adb:')}" for word in words]


def open_target(word: str) -> Target:
    """The target of a word that `parse_targets` or `through_app` gave.

    Raises `UsageError` if a program for it is missing.
    """
    kind, _, address = word.partition(":")
    if kind in ("adb", "app"):
        return AdbTarget(address) if kind == "adb" else AppTarget(address)
    if kind == "ssh":
        return SshTarget(address)
    return EmulatedTarget(address or EMULATED_CPU) if kind == "emulated" else LocalTarget()


def _adb(address: str, word: str) -> list[str]:
    states = adb_devices()
    ready = [serial for serial, state in states.items() if state == "device"]
    listed = ", ".join(f"adb:{serial}" for serial in states)
    if address and address != "all" and address not in states:
        raise UsageError(f"--target {word}: no such device; there is {listed}")
    if not address and len(ready) > 1:
        raise UsageError(f"--target {word}: {len(ready)} devices are there; choose {listed}, or adb:all")
    chosen = list(states) if address == "all" else [address or (ready or list(states))[0]]
    for serial in chosen:
        require_ready(serial, states[serial])
    return [f"adb:{serial}" for serial in chosen]
