"""The words after --target."""

from collections.abc import Sequence

from pocketdet.benchmarks.targets.adb import AdbTarget, adb_serials
from pocketdet.benchmarks.targets.base import Target
from pocketdet.benchmarks.targets.local import EmulatedTarget, LocalTarget
from pocketdet.benchmarks.targets.ssh import SshTarget
from pocketdet.errors import UsageError

EMULATED_CPU = "cortex-a76"
FORMS = "local, ssh:HOST, adb, adb:SERIAL, adb:all, emulated or emulated:CPU"


def parse_targets(words: Sequence[str]) -> list[str]:
    """The targets that some words stand for, one word each, adb with its serials; each once.

    Raises `UsageError` for a word that is none, for adb without a serial where there are several devices,
    and for a serial that is not there.
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


def open_target(word: str) -> Target:
    """The target of a word that `parse_targets` gave. Raises `UsageError` if a program for it is missing."""
    kind, _, address = word.partition(":")
    if kind == "adb":
        return AdbTarget(address)
    if kind == "ssh":
        return SshTarget(address)
    return EmulatedTarget(address or EMULATED_CPU) if kind == "emulated" else LocalTarget()


def _adb(address: str, word: str) -> list[str]:
    serials = adb_serials()
    listed = ", ".join(f"adb:{serial}" for serial in serials)
    if address == "all":
        return [f"adb:{serial}" for serial in serials]
    if address and address not in serials:
        raise UsageError(f"--target {word}: no such device; there is {listed}")
    if not address and len(serials) > 1:
        raise UsageError(f"--target {word}: {len(serials)} devices are there; choose {listed}, or adb:all")
    return [f"adb:{address or serials[0]}"]
