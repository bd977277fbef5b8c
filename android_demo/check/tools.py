"""The programs and files that the check needs, and how it runs them."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "android_demo"
LIBRARY = DEMO / "pocketdet-android" / "src"
APP = DEMO / "app" / "src"

# what Debian has it in, by the program or file
NEEDED = {
    "javac": "openjdk-17-jdk-headless",
    "java": "openjdk-17-jdk-headless",
    "g++": "g++",
    "aarch64-linux-gnu-g++": "g++-aarch64-linux-gnu",
    "aarch64-linux-gnu-readelf": "binutils-aarch64-linux-gnu",
    "cmake": "cmake",
    "ninja": "ninja-build",
    "aapt2": "aapt",
    "apksigner": "apksigner",
    "zipalign": "zipalign",
    "/usr/share/java/junit4.jar": "junit4",
    "/usr/share/java/hamcrest-core.jar": "libhamcrest-java",
    "/usr/share/java/com.android.json.jar": "libandroid-json-java",
    "/usr/share/android-framework-res/framework-res.apk": "android-framework-res",
}
# what compiles and inspects C++, and makes a package with it
ARM = {"aarch64-linux-gnu-g++", "aarch64-linux-gnu-readelf"}
NATIVE = ARM | {"g++", "cmake", "ninja", "apksigner", "zipalign"}
# for tests: JUnit, and Android's own org.json, which is part of the system on a phone
JARS = (
    "/usr/share/java/junit4.jar",
    "/usr/share/java/hamcrest-core.jar",
    "/usr/share/java/com.android.json.jar",
)
FRAMEWORK = "/usr/share/android-framework-res/framework-res.apk"


class FailedError(Exception):
    """A check ran and failed; the message is for the person who started it."""


class MissingError(Exception):
    """Something that the check needs is not on this machine."""


def require(*, native: bool) -> None:
    """Raise `MissingError` that names all packages at once, those of `NATIVE` only if `native`."""
    needed = {name: package for name, package in NEEDED.items() if native or name not in NATIVE}
    packages = {package for name, package in needed.items() if not _is_there(name)}
    if packages:
        raise MissingError(f"not all tools are here; on Debian: apt install {' '.join(sorted(packages))}")


def program(name: str) -> str:
    """A program of this Python's environment, or of the system."""
    beside = Path(sys.executable).parent / name
    return str(beside) if beside.exists() else name


def jni_folders() -> list[Path]:
    """The folders with jni.h and jni_md.h of the JDK whose javac is in use."""
    include = Path(shutil.which("javac") or "javac").resolve().parents[1] / "include"
    return [include, include / "linux"]


def run(command: Sequence[str | Path], what: str, log: Path) -> str:
    """Standard output and error of a command that must succeed, which `log` keeps. Raises `FailedError`."""
    environment = os.environ | {"OMP_WAIT_POLICY": "passive", "LC_ALL": "C.UTF-8"}
    words = [str(word) for word in command]
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as stream:
        code = subprocess.run(
            words, stdout=stream, stderr=subprocess.STDOUT, env=environment, check=False
        ).returncode
    output = log.read_text(errors="replace")
    if code != 0:
        tail = "\n  ".join(output.splitlines()[-40:])
        raise FailedError(f"{what} failed ({code}); all of it is in {log}\n  {tail}")
    return output


def sources(*folders: Path) -> list[Path]:
    """The Java files below folders. Raises `FailedError` for a folder without any."""
    found = []
    for folder in folders:
        here = sorted(folder.rglob("*.java"))
        if not here:
            raise FailedError(f"{folder}: expected Java files, found none")
        found += here
    return found


def _is_there(name: str) -> bool:
    return Path(name).exists() if name.startswith("/") else shutil.which(program(name)) is not None
