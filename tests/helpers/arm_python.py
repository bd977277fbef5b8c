"""An aarch64 virtual environment with the wheel of this checkout, on an ARM processor that qemu emulates.

    python tests/helpers/arm_python.py FOLDER [WHEEL]       then FOLDER/environment/bin/pocketdet doctor

Debian's CPython for arm64 and the aarch64 wheels of what pocketdet depends on are unpacked once, below
${XDG_CACHE_HOME:-~/.cache}/pocketdet; delete that folder to have newer packages. The wheel of pocketdet is
cross-compiled anew for each environment unless one is given, and pip, emulated, installs it as it would on
the device.

Nobody has to be root. apt reads the system's package sources for another architecture into a state of its
own, and qemu looks for absolute paths below the unpacked root first (-L), in place of chroot and binfmt_misc.
The environment variable QEMU_CPU chooses the processor.
"""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
QEMU = "qemu-aarch64-static"
PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"
RECIPE = 1  # of _cached; a change of what it leaves behind needs the next number
# The last three are what the wheels of ncnn and OpenCV expect of the system.
PACKAGES = (PYTHON, f"lib{PYTHON}-dev", "libstdc++6", "libgl1", "libglib2.0-0")
PROGRAMS = {
    "apt-get": "a Debian system is needed",
    "dpkg-deb": "a Debian system is needed",
    QEMU: "on Debian: apt install qemu-user-static",
    os.environ.get("AARCH64_CXX", "aarch64-linux-gnu-g++"): "on Debian: apt install g++-aarch64-linux-gnu",
}


class MissingError(Exception):
    """What this machine lacks, in one sentence."""


def arm_environment(folder: Path, wheel: Path | None = None) -> Path:
    """Make an environment in `folder`, with the wheel or a new one; return its folder of programs.

    Raises `MissingError`, and `subprocess.CalledProcessError` for a step that should have succeeded.
    """
    wheel = wheel or cross_compiled_wheel(folder / "wheel")
    cached = _cached()
    environment = folder / "environment"
    programs = _new_environment(environment, cached / "root")
    (_site_packages(environment) / "dependencies.pth").write_text(f"{cached / 'packages'}\n")
    # with its dependencies in sight and no index: one that is missing is an error
    _succeeded(_pip("--python", str(programs / "python"), "install", "-q", "--no-index", str(wheel)))
    return programs


def cross_compiled_wheel(folder: Path, more_settings: tuple[str, ...] = ()) -> Path:
    """Build pocketdet's wheel with the cross compiler, against the headers of the ARM Python.

    `more_settings` are NAME=VALUE of scikit-build-core. Raises as `arm_environment`.
    """
    root = _cached() / "root"
    suffix = f"cpython-{sys.version_info.major}{sys.version_info.minor}-aarch64-linux-gnu"
    variables = {
        "_PYTHON_HOST_PLATFORM": "linux-aarch64",
        "SETUPTOOLS_EXT_SUFFIX": f".{suffix}.so",
        # Debian's Python.h includes a header of its own below usr/include; all others are the compiler's
        "CXXFLAGS": f"-idirafter {root / 'usr' / 'include'}",
    }
    settings = (
        f"build-dir={folder / 'build'}",
        f"cmake.define.CMAKE_TOOLCHAIN_FILE={ROOT / 'runtime' / 'native' / 'aarch64.cmake'}",
        f"cmake.define.Python_INCLUDE_DIR={root / 'usr' / 'include' / PYTHON}",
        *more_settings,
    )
    words = [word for setting in settings for word in ("--config-settings", setting)]
    out = folder / "out"
    build = ["wheel", "-q", str(ROOT), "--no-deps", "--no-build-isolation", "-w", str(out), *words]
    _succeeded(_pip(*build, **variables))
    (wheel,) = out.iterdir()
    return wheel


def clean_environment() -> dict[str, str]:
    """This process's variables without those that steer Python."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL"))}


def _cached() -> Path:
    """The folder with root/ and packages/; made if it is missing. Raises `MissingError`."""
    for program, hint in PROGRAMS.items():
        if shutil.which(program) is None:
            raise MissingError(f"no {program}: {hint}")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pocketdet"
    dependencies = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    recipe = [RECIPE, PACKAGES, dependencies, (ROOT / "constraints.txt").read_text()]
    digest = hashlib.sha256(json.dumps(recipe).encode()).hexdigest()[:12]
    final = cache / f"arm-{PYTHON}-{digest}"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / f"{final.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not final.exists():
            with tempfile.TemporaryDirectory(dir=cache, prefix=f"{final.name}-") as work:
                whole = Path(work) / "whole"
                _unpack_root(Path(work) / "apt", whole / "root")
                _install_dependencies(Path(work), whole, dependencies)
                whole.rename(final)
    return final


def _unpack_root(state: Path, root: Path) -> None:
    """Unpack Debian's arm64 `PACKAGES` and all they depend on; nothing is configured."""
    for folder in (state / "lists" / "partial", state / "archives" / "partial", root):
        folder.mkdir(parents=True)
    (state / "status").touch()
    options = {
        "APT::Architecture": "arm64",
        "APT::Architectures::": "arm64",
        "APT::Install-Recommends": "false",
        "APT::Sandbox::User": "",
        "APT::Update::Error-Mode": "any",
        "Dir::State": state,
        "Dir::State::status": state / "status",
        "Dir::Cache": state,
    }
    apt = ["apt-get", "-qq", *(word for name, value in options.items() for word in ("-o", f"{name}={value}"))]
    update = subprocess.run([*apt, "update"], capture_output=True, text=True, check=False)
    if update.returncode != 0:
        raise MissingError(f"apt-get cannot read the package sources for arm64: {_last_line(update.stderr)}")
    fetch = [*apt, "--download-only", "-y", "install", *PACKAGES]
    fetched = subprocess.run(fetch, capture_output=True, text=True, check=False)
    if "Unable to locate package" in fetched.stderr:
        raise MissingError(f"the package sources lack a package for arm64: {_last_line(fetched.stderr)}")
    _succeeded(fetched)
    for package in sorted((state / "archives").glob("*.deb")):
        subprocess.run(["dpkg-deb", "-x", package, root], check=True)


def _install_dependencies(work: Path, whole: Path, dependencies: list[str]) -> None:
    """Fetch the aarch64 wheels here, where that is quick; have the emulated pip install them."""
    wheels = work / "wheels"
    glibc = (f"manylinux_2_{minor}_aarch64" for minor in (28, 27, 17))
    platforms = [f"--platform={tag}" for tag in (*glibc, "manylinux2014_aarch64")]
    pins = ["-c", str(ROOT / "constraints.txt")]
    fetched = _pip(
        "download", "-q", "--only-binary=:all:", *platforms, "-d", str(wheels), *pins, *dependencies
    )
    if fetched.returncode != 0:  # pip has many words for an index that is away or lacks a wheel
        reason = next((line for line in fetched.stderr.splitlines() if line.startswith("ERROR")), "no reason")
        raise MissingError(f"pip cannot fetch the aarch64 wheels from the package index: {reason}")
    python = _new_environment(work / "environment", whole / "root") / "python"
    offline = ["--no-index", "--find-links", str(wheels)]
    _succeeded(_pip("--python", str(python), "install", "-q", *offline, *pins, *dependencies))
    _site_packages(work / "environment").rename(whole / "packages")


def _new_environment(folder: Path, root: Path) -> Path:
    """Write a virtual environment by hand: its python is a script, so that the kernel can start it."""
    _site_packages(folder).mkdir(parents=True)
    home = root / "usr" / "bin"
    (folder / "pyvenv.cfg").write_text(f"home = {home}\ninclude-system-site-packages = false\n")
    python = folder / "bin" / "python"
    python.parent.mkdir()
    python.write_text(f'#!/bin/sh\nexec {QEMU} -0 "$0" -L "{root}" "{home / PYTHON}" "$@"\n')
    python.chmod(0o755)
    return python.parent


def _site_packages(environment: Path) -> Path:
    return environment / "lib" / PYTHON / "site-packages"


def _pip(*words: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    """Run this interpreter's pip."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *words]
    environment = {**clean_environment(), **variables}
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


def _succeeded(done: "subprocess.CompletedProcess[str]") -> None:
    if done.returncode != 0:
        sys.stderr.write(done.stdout + done.stderr)
    done.check_returncode()


def _last_line(text: str) -> str:
    return (text.strip() or "no reason given").splitlines()[-1]


if __name__ == "__main__":
    try:
        folder, *given = (Path(word).resolve() for word in sys.argv[1:3])
        sys.stdout.write(f"{arm_environment(folder, given[0] if given else None)}\n")
    except MissingError as error:
        sys.exit(f"arm_python: {error}")
