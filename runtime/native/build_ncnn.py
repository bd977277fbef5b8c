"""Build ncnn from its source release, once per machine, for the C++ detector to link.

    python runtime/native/build_ncnn.py --target host|aarch64      prints the folder it is installed in
    python runtime/native/build_ncnn.py --target host --sanitize   with sanitizers, for tests/hostile
    python runtime/native/build_ncnn.py --target host --openmp     for several threads, as on Android

The release comes from the package index that pip is configured for, or from --source; its SHA-256 is checked.
The result lies outside the tree, in ${XDG_CACHE_HOME:-~/.cache}/pocketdet/ncnn-VERSION-TARGET-HASH, where
HASH covers every option and the compiler. It is there whole or not at all, and an interrupted build goes on
where it was.
"""

import argparse
import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

VERSION = "1.0.20261020"
SHA256 = "ad8cdd63e9755cfa8e23b9b6d9ce46156077d80298a89e7c3ba325ffccfca200"
NEEDED_BYTES = 600 << 20

LAYER_TABLE = Path(__file__).parent / "graph" / "layer_types.cpp"


def _types_in_bundles() -> tuple[str, ...]:
    """The layer types that a bundle may hold: the names in the table of the C++ rules, in their order."""
    names = tuple(re.findall(r'^ {8}\{"(\w+)", ', LAYER_TABLE.read_text(encoding="utf-8"), re.MULTILINE))
    assert names, f"{LAYER_TABLE} holds no table of layer types"
    return names


IN_BUNDLES = _types_in_bundles()
# What those, ncnn::Net and ncnn::Mat create besides; create_layer of a missing one is a null pointer.
CREATED_WITHIN = ("Dequantize", "Packing", "Quantize", "Requantize")
LAYERS = frozenset(IN_BUNDLES + CREATED_WITHIN)

# NCNN_RUNTIME_CPU stays on: without it the library is compiled for the instructions of the build machine.
_OPTIONS = {
    "CMAKE_BUILD_TYPE": "Release",
    "CMAKE_INSTALL_LIBDIR": "lib",
    "NCNN_VERSION": VERSION.rpartition(".")[2],
    "NCNN_OPENMP": "OFF",
    "NCNN_VULKAN": "OFF",
    "NCNN_INT8": "ON",
    "NCNN_RUNTIME_CPU": "ON",
    "NCNN_C_API": "OFF",
    "NCNN_PIXEL": "OFF",
    "NCNN_PIXEL_ROTATE": "OFF",
    "NCNN_PIXEL_AFFINE": "OFF",
    "NCNN_PIXEL_DRAWING": "OFF",
    "NCNN_BUILD_TOOLS": "OFF",
    "NCNN_BUILD_EXAMPLES": "OFF",
    "NCNN_BUILD_BENCHMARK": "OFF",
    "NCNN_BUILD_TESTS": "OFF",
}
# x86: the instruction sets that fp32 and int8 kernels use. Half precision on x86 is not offered.
_X86_WITHOUT = (
    "NCNN_BF16", "NCNN_XOP", "NCNN_FMA4", "NCNN_AVXVNNIINT8", "NCNN_AVXVNNIINT16", "NCNN_AVXNECONVERT",
    "NCNN_AVX512BF16", "NCNN_AVX512FP16",
)  # fmt: skip
_X86 = dict.fromkeys(_X86_WITHOUT, "OFF")
# SVE kernels need a newer compiler than Debian 12's to be worth their build time; NEON covers every phone.
_ARM = {"NCNN_ARM86SVE": "OFF"}
# AddressSanitizer, and of UBSan what catches wrong sizes. Left out: vptr (no RTTI), float-cast-overflow (NaN
# to int8 is no fault of memory), and null, alignment, object-size and pointer-overflow, a check at every load
# of every kernel for what AddressSanitizer sees when it is used. RelWithDebInfo, since ncnn adds -Ofast to
# Release. The kernels of AVX-512 and VNNI take an hour to instrument; those of AVX2 walk the same shapes.
_SANITIZE = {
    "CMAKE_BUILD_TYPE": "RelWithDebInfo",
    "CMAKE_CXX_FLAGS_RELWITHDEBINFO": "-O1 -g1 -DNDEBUG -fno-omit-frame-pointer -fsanitize=address "
    "-fsanitize=signed-integer-overflow,shift,integer-divide-by-zero,bounds",
    "NCNN_AVX512": "OFF",
    "NCNN_AVXVNNI": "OFF",
}


class BuildError(Exception):
    """Something that the person who started the build can act on."""


@dataclass(frozen=True)
class Target:
    """A machine to build for: its compiler, and what CMake must know about it."""

    name: str
    machine: str
    compiler: str
    options: dict[str, str]
    hint: str

    def sanitized(self) -> "Target":
        """The same machine with memory and arithmetic errors detected at run time."""
        return replace(self, name=f"{self.name}-sanitize", options=self.options | _SANITIZE)

    def threaded(self) -> "Target":
        """The same machine with a layer's work shared by threads."""
        return replace(self, name=f"{self.name}-openmp", options=self.options | {"NCNN_OPENMP": "ON"})


def targets() -> dict[str, Target]:
    """The targets by name. `CXX` chooses the host's compiler, `AARCH64_CXX` the cross compiler."""
    host_is_arm = os.uname().machine in ("aarch64", "arm64")
    cross = {"CMAKE_SYSTEM_NAME": "Linux", "CMAKE_SYSTEM_PROCESSOR": "aarch64"}
    return {
        "host": Target(
            "host",
            os.uname().machine,
            os.environ.get("CXX", "g++"),
            _ARM if host_is_arm else _X86,
            "on Debian: apt install g++",
        ),
        "aarch64": Target(
            "aarch64",
            "aarch64",
            os.environ.get("AARCH64_CXX", "aarch64-linux-gnu-g++"),
            _ARM | cross,
            "on Debian: apt install g++-aarch64-linux-gnu",
        ),
    }


def main() -> int:
    """Build, or find what was built; print where."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--target", choices=["host", "aarch64"], default="host")
    parser.add_argument("--sanitize", action="store_true", help="with AddressSanitizer and parts of UBSan")
    parser.add_argument("--openmp", action="store_true", help="for several threads in a layer")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="compilers at a time")
    parser.add_argument("--source", type=Path, help=f"ncnn-{VERSION}.tar.gz, instead of the package index")
    parser.add_argument("--cache", type=Path, default=cache_folder(), help="default: %(default)s")
    arguments = parser.parse_args()
    target = targets()[arguments.target]
    if arguments.sanitize:
        target = target.sanitized()
    if arguments.openmp:
        target = target.threaded()
    return print_built(
        "build_ncnn",
        arguments.cache,
        lambda: build(target, arguments.cache, arguments.jobs, arguments.source),
    )


def print_built(program: str, cache: Path, build_it: Callable[[], Path]) -> int:
    """Print the path that `build_it` returns, or a sentence about the failure; return the exit code."""
    try:
        built = build_it()
    except BuildError as error:
        say(f"{program}: {error}")
        return 2
    except OSError as error:
        say(f"{program}: {error.filename or cache}: {error.strerror}")
        return 2
    except KeyboardInterrupt:
        say(f"{program}: interrupted; the next run goes on from here")
        return 130
    sys.stdout.write(f"{built}\n")
    return 0


def cache_folder() -> Path:
    """Where builds are cached between clones."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pocketdet"


def build(target: Target, cache: Path, jobs: int, source: Path | None) -> Path:
    """The folder with include/ and lib/libncnn.a for a target; built there if it is missing.

    Raises `BuildError`, `OSError`.
    """
    compiler = compiler_of(target)
    options = _OPTIONS | target.options
    recipe = {"source": SHA256, "compiler": compiler, "options": options, "layers": sorted(LAYERS)}
    digest = hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()[:12]
    final = cache / f"ncnn-{VERSION}-{target.name}-{digest}"
    if final.exists():
        return final
    cache.mkdir(parents=True, exist_ok=True)
    with only_one(cache / f"{final.name}.lock"):
        if final.exists():
            return final
        work = cache / f"{final.name}.part"
        _check_space(cache)
        tree = unpack(archive(cache, source), work)
        say(f"building ncnn {VERSION} for {target.name} (some minutes, once), in {work}")
        _compile(tree, work, target, options, jobs)
        (work / "installed" / "build.json").write_text(json.dumps({"version": VERSION, **recipe}, indent=2))
        (work / "installed").rename(final)
        shutil.rmtree(work, ignore_errors=True)
    return final


def compiler_of(target: Target) -> str:
    """What the target's compiler calls itself, and the machine it compiles for. Raises `BuildError`."""
    try:
        version = _output([target.compiler, "--version"]).partition("\n")[0]
        machine = _output([target.compiler, "-dumpmachine"]).strip()
    except (OSError, subprocess.CalledProcessError) as error:
        raise BuildError(
            f"no compiler {target.compiler!r} for {target.name}: {error}; {target.hint}"
        ) from error
    if not machine.startswith(target.machine):
        raise BuildError(
            f"{target.compiler} compiles for {machine}, expected {target.machine}; {target.hint}"
        )
    return f"{version}, {machine}"


def archive(cache: Path, source: Path | None) -> Path:
    """The source release with the right hash: `source`, the one in the cache, or from the package index."""
    if source is not None:
        _check_hash(source)
        return source
    cached = cache / f"ncnn-{VERSION}.tar.gz"
    if cached.exists():
        _check_hash(cached)
        return cached
    with tempfile.TemporaryDirectory(dir=cache, prefix="download-") as folder:
        say(f"fetching ncnn {VERSION} from the package index")
        # unearth, since pip refuses the sdist for its date-stamped version
        command = [sys.executable, "-m", "unearth", f"ncnn=={VERSION}", "--no-binary", "--download", folder]
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        found = next(iter(sorted(Path(folder).glob("ncnn-*.tar.gz"))), None)
        if run.returncode != 0 or found is None:
            reason = (run.stderr.strip() or run.stdout.strip() or "nothing found").splitlines()[-1]
            fix = (
                f"{sys.executable} -m pip install unearth" if "No module" in reason else "see pip config list"
            )
            raise BuildError(
                f"ncnn {VERSION} cannot be fetched from the package index: {reason} ({fix}); "
                f"or give the file with --source ncnn-{VERSION}.tar.gz"
            )
        _check_hash(found)
        found.replace(cached)
    return cached


def unpack(path: Path, work: Path) -> Path:
    """The source tree below `work`. An existing one is used again."""
    tree = work / "source"
    if not tree.exists():
        shutil.rmtree(work / "unpacking", ignore_errors=True)
        # its hash or its signature is checked; Python 3.11.2 has no filters
        shutil.unpack_archive(path, work / "unpacking")
        (top,) = (work / "unpacking").iterdir()
        top.rename(tree)
    return tree


def _compile(tree: Path, work: Path, target: Target, options: dict[str, str], jobs: int) -> None:
    cmake, ninja = tool("cmake"), tool("ninja")
    log = work / "build.log"
    configure = [cmake, "-S", str(tree), "-B", str(work / "build"), "-G", "Ninja"]
    configure += [f"-DCMAKE_MAKE_PROGRAM={ninja}", f"-DCMAKE_CXX_COMPILER={target.compiler}"]
    # ncnn names C too, and compiles none
    configure += [f"-DCMAKE_C_COMPILER={target.compiler.replace('clang++', 'clang').replace('g++', 'gcc')}"]
    configure += [f"-DCMAKE_INSTALL_PREFIX={work / 'installed'}"]
    configure += [f"-D{name}={value}" for name, value in options.items()]
    configure += _layer_options(tree)
    log.write_text("")
    run_logged(configure, log)
    run_logged([ninja, "-C", str(work / "build"), f"-j{jobs}"], log)
    run_logged([cmake, "--install", str(work / "build"), "--strip"], log)


def run_logged(command: list[str], log: Path) -> None:
    """Run a command into the log, reporting ninja's progress every 15 seconds."""
    reported = time.monotonic()
    with log.open("a") as stream:
        environment = os.environ | {"NINJA_STATUS": "[%f/%t] "}
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
        )
        assert process.stdout is not None
        try:
            for line in process.stdout:
                stream.write(line)
                if line.startswith("[") and time.monotonic() - reported > 15:
                    reported = time.monotonic()
                    say(f"  {line[1:].partition(']')[0]} files compiled")
        except BaseException:
            process.terminate()
            raise
        finally:
            code = process.wait()
    if code != 0:
        text = log.read_text(errors="replace")
        if "No space left on device" in text:
            raise BuildError(f"the disk of {log.parent} is full; free some space, the next run goes on")
        tail = "\n  ".join(text.splitlines()[-12:])
        raise BuildError(f"{Path(command[0]).name} failed ({code}); all of it is in {log}\n  {tail}")


def _layer_options(tree: Path) -> list[str]:
    """Every layer of the release, on or off by `LAYERS`."""
    every = re.findall(r"^ncnn_add_layer\((\w+)", (tree / "src" / "CMakeLists.txt").read_text(), re.MULTILINE)
    missing = LAYERS.difference(every)
    if missing:
        raise BuildError(f"ncnn {VERSION} has no layer {', '.join(sorted(missing))}")
    return [f"-DWITH_LAYER_{name.lower()}={'ON' if name in LAYERS else 'OFF'}" for name in every]


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _check_hash(path: Path) -> None:
    found = sha256_of(path)
    if found != SHA256:
        raise BuildError(f"{path}: expected SHA-256 {SHA256}, found {found}; delete it and try again")


def _check_space(folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if free < NEEDED_BYTES:
        raise BuildError(
            f"{folder}: the build needs {NEEDED_BYTES >> 20} MiB of disk, {free >> 20} MiB are free"
        )


def tool(name: str) -> str:
    """A program of this Python's environment, or of the system."""
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        raise BuildError(f"{name} is missing; install it with: {sys.executable} -m pip install {name}")
    return found


def _output(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@contextlib.contextmanager
def only_one(path: Path) -> Iterator[None]:
    """Wait until no other process holds the lock file."""
    with path.open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another build of the same")
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def say(line: str) -> None:
    """Tell the person who waits."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
