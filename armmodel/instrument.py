"""The programs that the model needs, and whether this machine has them.

`make arm-model` builds what is not there: a qemu with plugins, the plugin, and a program that runs a network.
"""

import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pocketdet.errors import EngineError, UsageError
from pocketdet.runtime.native_build import AARCH64

LLVM_MIN: Final = 18
LLVM_VARIABLE: Final = "POCKETDET_LLVM"
INSTALL_LLVM: Final = "on Debian and Ubuntu: apt install llvm-19"
INSTALL: Final = "build it with: make arm-model"
BUILT: Final = "arm-model.json"
"""In the cache: the paths of what `make arm-model` built, relative to it."""


def cache_folder() -> Path:
    """Where builds and costs of blocks are kept between clones."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pocketdet"


@dataclass(frozen=True)
class Llvm:
    """The tools of one LLVM."""

    version: str
    mc: Path
    mca: Path
    nm: Path


@dataclass(frozen=True)
class Emulator:
    """qemu, its plugin, and the program that runs a network of anybody's, for 64-bit ARM."""

    qemu: Path
    plugin: Path
    run_network: Path


@dataclass(frozen=True)
class Instrument:
    """Everything that is needed; `runner` is pocketdet-run for 64-bit ARM, linked statically."""

    llvm: Llvm
    emulator: Emulator
    runner: Path


def find_instrument() -> Instrument:
    """Find all programs.

    Raises:
        UsageError: If one is missing; the message says how to get it.
    """
    return Instrument(find_llvm(), find_emulator(), find_runner())


def find_runner() -> Path:
    """Find pocketdet-run for 64-bit ARM. Raises `UsageError` if it is missing."""
    if not AARCH64.runner.is_file():
        raise UsageError(f"{AARCH64.runner}: there is no runner for aarch64; {INSTALL}")
    return AARCH64.runner


def find_llvm() -> Llvm:
    """Find the newest LLVM that has the models of the cores; the variable POCKETDET_LLVM names a folder.

    Raises:
        UsageError: If there is none.
    """
    folder = os.environ.get(LLVM_VARIABLE)
    found = []
    for suffix in ("", *(f"-{version}" for version in range(30, LLVM_MIN - 1, -1))):
        paths = [_program(f"{name}{suffix}", folder) for name in ("llvm-mc", "llvm-mca", "llvm-nm")]
        if all(paths):
            mc, mca, nm = (path for path in paths if path)
            version = _llvm_version(mca)
            if int(version.partition(".")[0]) >= LLVM_MIN:
                found.append(Llvm(version, mc, mca, nm))
    if not found:
        where = f"in {folder}" if folder else "on the PATH"
        raise UsageError(f"llvm-mca {LLVM_MIN} or later is not {where}; {INSTALL_LLVM}")
    return max(found, key=lambda llvm: tuple(map(int, re.findall(r"\d+", llvm.version))))


def find_emulator() -> Emulator:
    """Find what `make arm-model` built. Raises `UsageError` if it is missing."""
    path = cache_folder() / BUILT
    try:
        built = json.loads(path.read_text(encoding="utf-8"))
        emulator = Emulator(*(path.parent / built[name] for name in ("qemu", "plugin", "run_network")))
    except (OSError, ValueError, KeyError, TypeError):
        raise UsageError(f"{path}: there is no qemu that counts blocks; {INSTALL}") from None
    for part in (emulator.qemu, emulator.plugin, emulator.run_network):
        if not part.is_file():
            raise UsageError(f"{part}: no such file, although {path} names it; {INSTALL}")
    return emulator


def _program(name: str, folder: str | None) -> Path | None:
    found = shutil.which(name, path=folder)
    return Path(found) if found else None


def _llvm_version(program: Path) -> str:
    try:
        text = subprocess.run([program, "--version"], text=True, capture_output=True, check=False).stdout
    except OSError as error:
        raise EngineError(f"{program}: cannot be started: {error.strerror or error}") from error
    match = re.search(r"LLVM version (\d+(?:\.\d+)*)", text)
    return match[1] if match else "0"
