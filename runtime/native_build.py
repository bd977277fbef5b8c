"""Paths of the pocketdet-run programs that `make native` and `make native-aarch64` build."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT = Path(__file__).resolve().parents[1]
QEMU: Final = "qemu-aarch64-static"  # runs the ARM build on other machines


@dataclass(frozen=True)
class NativeBuild:
    """One build: its folder, its make target, and the environment variable that overrides the program."""

    folder: str
    recipe: str
    variable: str

    @property
    def runner(self) -> Path:
        """Path of the program, whether built or not."""
        return Path(os.environ.get(self.variable) or ROOT / "build" / self.folder / "pocketdet-run")


X86_64: Final = NativeBuild("native-host", "native", "POCKETDET_RUN")
AARCH64: Final = NativeBuild("native-aarch64", "native-aarch64", "POCKETDET_RUN_AARCH64")
AARCH64_HOST: Final = NativeBuild("native-host", "native", "POCKETDET_RUN_AARCH64")  # built on ARM itself
