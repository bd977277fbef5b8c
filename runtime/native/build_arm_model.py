"""Build what `pocketdet cycles` needs, once per machine: a qemu with plugins, the plugin, run_network.

    python runtime/native/build_arm_model.py --ncnn FOLDER    what build_ncnn.py --target aarch64 prints

The qemu of the system is taken if it has plugins and its header is installed. Otherwise the source package
of the distribution is fetched with apt-get, which checks its signature, or given with --source, and only the
emulator of 64-bit ARM programs is built, in some minutes. qemu is a separate program under the GPL: nothing
but the plugin is linked with it, and nothing of it is shipped. The results lie in
${XDG_CACHE_HOME:-~/.cache}/pocketdet.
"""

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from build_ncnn import (
    BuildError,
    cache_folder,
    only_one,
    print_built,
    run_logged,
    say,
    sha256_of,
    targets,
    tool,
    unpack,
)

ROOT = Path(__file__).resolve().parents[2]
PLUGIN = ROOT / "armmodel" / "native" / "count_blocks.c"
PLUGIN_HEADERS = (PLUGIN.parent / "caches.h",)
RUN_NETWORK = ROOT / "armmodel" / "native" / "run_network.cpp"
# Source archives that have been built and checked; another one is accepted from apt alone.
SHA256 = {"qemu_7.2+dfsg.orig.tar.xz": "91aca71520040edc40b8d437aa3004dae614f58e286cf653ee8996c07af2962f"}
PACKAGES = "apt install libglib2.0-dev flex bison pkg-config gcc"
_OPTIONS = (
    "--target-list=aarch64-linux-user", "--enable-plugins", "--disable-system", "--disable-tools",
    "--disable-docs", "--disable-install-blobs",
)  # fmt: skip
_HEADERS = (Path("/usr/include/qemu-plugin.h"), Path("/usr/include/qemu/qemu-plugin.h"))
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


@dataclass(frozen=True)
class Qemu:
    """An emulator with plugins, and the folder of the header that they are compiled against."""

    program: Path
    include: Path


def main() -> int:
    """Build, or find what was built, and write where it is."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--ncnn", type=Path, required=True, help="ncnn for aarch64, as build_ncnn.py prints it"
    )
    parser.add_argument("--source", type=Path, help="qemu's source archive, instead of the distribution's")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="compilers at a time")
    arguments = parser.parse_args()
    cache = cache_folder()

    def build_alone() -> Path:
        cache.mkdir(parents=True, exist_ok=True)
        with only_one(cache / "arm-model.lock"):
            return build(cache, arguments.ncnn, arguments.source, arguments.jobs)

    code: int = print_built("build_arm_model", cache, build_alone)
    return code


def build(cache: Path, ncnn: Path, source: Path | None, jobs: int) -> Path:
    """The file that names the programs, which are built if missing. Raises `BuildError`, `OSError`."""
    flags = glib_flags()
    qemu = (system_qemu(cache, flags) if source is None else None) or built_qemu(cache, source, jobs)
    plugin = compile_plugin(qemu, flags, cache)
    run_network = compile_once(
        cache,
        "run_network",
        [
            targets()["aarch64"].compiler,
            "-O2",
            "-static",
            "-std=c++17",
            str(RUN_NETWORK),
            f"-I{ncnn / 'include'}",
        ],
        [f"-L{ncnn / 'lib'}", "-lncnn"],
        RUN_NETWORK.read_bytes() + str(ncnn).encode(),
    )
    programs = {"qemu": qemu.program, "plugin": plugin, "run_network": run_network}
    # relative, so that the folder can be moved and copied; a qemu of the system is not in it
    built = {
        name: str(path.relative_to(cache) if path.is_relative_to(cache) else path)
        for name, path in programs.items()
    }
    record = cache / "arm-model.json"
    part = record.with_suffix(".part")
    part.write_text(json.dumps(built, indent=2) + "\n", encoding="utf-8")
    part.replace(record)
    return record


def glib_flags() -> list[str]:
    """Compiler flags of GLib, which qemu and its plugins use. Raises `BuildError`."""
    try:
        command = ["pkg-config", "--cflags", "--libs", "glib-2.0"]
        return subprocess.run(command, text=True, capture_output=True, check=True).stdout.split()
    except (OSError, subprocess.CalledProcessError) as error:
        raise BuildError(f"GLib's headers or pkg-config are missing; on Debian: {PACKAGES}") from error


def system_qemu(cache: Path, flags: list[str]) -> Qemu | None:
    """The system's qemu, if a plugin compiled against the system's header runs in it."""
    header = next((path for path in _HEADERS if path.is_file()), None)
    names = ("qemu-aarch64", "qemu-aarch64-static")
    for found in filter(None, map(shutil.which, names)):
        if header is None:
            return None
        qemu = Qemu(Path(found), header.parent)
        try:
            plugin = compile_plugin(qemu, flags, cache)
        except BuildError:
            return None
        command = [found, "-plugin", f"{plugin},out=/dev/null", "/nonexistent"]
        said = subprocess.run(command, text=True, capture_output=True, check=False).stderr
        if "plugin" not in said.lower():  # it complains about the program, not about the option
            return qemu
    return None


def built_qemu(cache: Path, source: Path | None, jobs: int) -> Qemu:
    """The qemu in the cache, built if it is missing. Raises `BuildError`, `OSError`."""
    final = cache / f"qemu-aarch64-plugins-{hashlib.sha256(' '.join(_OPTIONS).encode()).hexdigest()[:12]}"
    if not final.exists():
        work = cache / f"{final.name}.part"
        work.mkdir(exist_ok=True)
        archive = checked(source) if source is not None else fetch(work)
        say(f"building qemu from {archive.name} (some minutes, once), in {work}")
        _compile(unpack(archive, work), work, jobs)
        digest = sha256_of(archive)
        (work / "installed" / "build.json").write_text(
            json.dumps({"archive": archive.name, "sha256": digest})
        )
        (work / "installed").rename(final)
        shutil.rmtree(work, ignore_errors=True)
    return Qemu(final / "qemu-aarch64", final)


def fetch(work: Path) -> Path:
    """The distribution's source archive, fetched without a change of the system. Raises `BuildError`."""
    present = sorted(work.glob("qemu_*.orig.tar.*"))
    if present:
        return checked(present[-1], from_apt=True)
    if shutil.which("apt-get") is None:
        raise BuildError(
            "no qemu with plugins is installed and there is no apt-get; give --source qemu_VERSION.tar.xz"
        )
    say("fetching the source of qemu from the distribution")
    (work / "lists" / "partial").mkdir(parents=True, exist_ok=True)
    sources = work / "sources.list"
    sources.write_text(source_line())
    options = [f"Dir::Etc::SourceList={sources}", "Dir::Etc::SourceParts=/dev/null"]
    options += [f"Dir::State::Lists={work / 'lists'}"]
    apt = ["apt-get", "-q", *(word for option in options for word in ("-o", option))]
    for action in (["update"], ["source", "--download-only", "qemu"]):
        done = subprocess.run([*apt, *action], cwd=work, text=True, capture_output=True, check=False)
        if done.returncode != 0:
            reason = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1]
            raise BuildError(f"apt-get {action[0]} fails: {reason}; or give --source qemu_VERSION.tar.xz")
    found = sorted(work.glob("qemu_*.orig.tar.*"))
    if not found:
        raise BuildError("apt-get fetched no source archive of qemu; give --source qemu_VERSION.tar.xz")
    return checked(found[-1], from_apt=True)


def source_line() -> str:
    """The line of a sources.list for source packages, from the distribution's own list of packages."""
    texts = [path.read_text() for path in sorted(Path("/etc/apt").glob("sources.list.d/*.sources"))]
    texts += [path.read_text() for path in [Path("/etc/apt/sources.list")] if path.exists()]
    mirror = re.search(r"^(?:URIs:|deb(?: \[[^\]]*\])?) *(\S+)", "\n".join(texts), re.MULTILINE)
    release = dict(
        line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line
    )
    suite = release.get("VERSION_CODENAME", "").strip('"')
    if mirror is None or not suite:
        raise BuildError("/etc/apt names no mirror with source packages; give --source qemu_VERSION.tar.xz")
    signed = f" [signed-by={_KEYRING}]" if release.get("ID") == "debian" and _KEYRING.exists() else ""
    components = "main" if release.get("ID") == "debian" else "main universe"
    return f"deb-src{signed} {mirror[1]} {suite} {components}\n"


def checked(archive: Path, *, from_apt: bool = False) -> Path:
    """The archive, if its hash is the known one. Raises `BuildError`."""
    expected, found = SHA256.get(archive.name), sha256_of(archive)
    if expected is None and from_apt:
        return archive
    if found != expected:
        known = expected or f"the name of a known archive: {', '.join(SHA256)}"
        raise BuildError(f"{archive}: expected SHA-256 {known}, found {found}; delete it and try again")
    return archive


def compile_plugin(qemu: Qemu, flags: list[str], cache: Path) -> Path:
    """The plugin for a qemu. Raises `BuildError`."""
    header = (qemu.include / "qemu-plugin.h").read_bytes()
    command = ["gcc", "-shared", "-fPIC", "-O2", f"-I{qemu.include}", str(PLUGIN)]
    own = b"".join(path.read_bytes() for path in (PLUGIN, *PLUGIN_HEADERS))
    return compile_once(cache, "libcount_blocks.so", command, flags, own + header)


def compile_once(cache: Path, name: str, command: list[str], end: list[str], contents: bytes) -> Path:
    """What a compiler makes, kept under the hash of what it is made from. Raises `BuildError`."""
    recipe = contents + "\0".join([*command[:-1], *end]).encode()
    folder = cache / f"arm-model-{hashlib.sha256(recipe).hexdigest()[:12]}"
    result = folder / name
    if not result.exists():
        folder.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            part = Path(scratch) / name
            try:
                done = subprocess.run(
                    [*command, "-o", str(part), *end], text=True, capture_output=True, check=False
                )
            except OSError as error:
                raise BuildError(
                    f"{command[0]}: cannot be started: {error.strerror}; on Debian: {PACKAGES}"
                ) from error
            if done.returncode != 0:
                raise BuildError(f"{command[0]} fails on {name}:\n{done.stderr.strip()[-2000:]}")
            part.replace(result)
    return result


def _compile(tree: Path, work: Path, jobs: int) -> None:
    meson, ninja = tool("meson"), tool("ninja")
    folder, log = work / "build", work / "build.log"
    if not (folder / "build.ninja").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        say("configuring qemu")
        options = [f"--meson={meson}", f"--ninja={ninja}", *_OPTIONS]
        done = subprocess.run(
            [str(tree / "configure"), *options], cwd=folder, text=True, capture_output=True, check=False
        )
        if done.returncode != 0:
            tail = "\n  ".join((done.stdout + done.stderr).strip().splitlines()[-6:])
            raise BuildError(f"qemu's configure fails; on Debian: {PACKAGES}\n  {tail}")
    run_logged([ninja, "-C", str(folder), f"-j{jobs}", "qemu-aarch64"], log)
    installed = work / "installed"
    shutil.rmtree(installed, ignore_errors=True)
    installed.mkdir()
    shutil.copy2(folder / "qemu-aarch64", installed)
    shutil.copy2(tree / "include" / "qemu" / "qemu-plugin.h", installed)
    shutil.copy2(tree / "COPYING", installed)


if __name__ == "__main__":
    sys.exit(main())
