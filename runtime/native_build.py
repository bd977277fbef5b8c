"""Paths of the C++ detector: built by `make native` and `make native-aarch64`, or in the wheel."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT = Path(__file__).resolve().parents[1]
SHIPPED = Path(__file__).parent / "runners"  # in a wheel of a release
QEMU: Final = "qemu-aarch64-static"  # runs the ARM build on other machines


@dataclass(frozen=True)
class NativeBuild:
    """One build: its machine, folder and make target, and the environment variable that overrides it."""

    machine: str
    folder: str
    recipe: str
    variable: str

    @property
    def runner(self) -> Path:
        """Path of the program: the variable's, the one in the build tree, or else the one in the package.

        If there is none, it is the path in the build tree.
        """
        override = os.environ.get(self.variable)
        if override:
            return Path(override)
        built = ROOT / "build" / self.folder / "pocketdet-run"
        shipped = SHIPPED / f"pocketdet-run-{self.machine}"
        return shipped if shipped.is_file() and not built.is_file() else built


X86_64: Final = NativeBuild("x86_64", "native-host", "native", "POCKETDET_RUN")
AARCH64: Final = NativeBuild("aarch64", "native-aarch64", "native-aarch64", "POCKETDET_RUN_AARCH64")
AARCH64_HOST: Final = NativeBuild(
    "aarch64", "native-host", "native", "POCKETDET_RUN_AARCH64"
)  # on ARM itself


def library_path() -> Path:
    """Path of libpocketdet.so: POCKETDET_LIBRARY, the one in the build tree, or else the one in the package.

    If there is none, it is the path in the build tree.
    """
    override = os.environ.get("POCKETDET_LIBRARY")
    if override:
        return Path(override).absolute()  # the loader looks for one without a slash elsewhere
    built = ROOT / "build" / "native-host" / "libpocketdet.so"
    shipped = SHIPPED / "libpocketdet.so"
    return shipped if shipped.is_file() and not built.is_file() else built
