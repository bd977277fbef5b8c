"""`pocketdet doctor`: versions, processor and working engines of this machine."""

import importlib.metadata
import json
import os
import platform
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pocketdet import __version__
from pocketdet.errors import PocketdetError

# Distribution and the extra that installs it; "" marks required packages.
PACKAGES = (
    ("numpy", ""),
    ("ncnn", ""),
    ("opencv-python", ""),
    ("pydantic", ""),
    ("safetensors", ""),
    ("rich", ""),
    ("typer", ""),
    ("onnxruntime", "onnxruntime"),
    ("torch", "train"),
    ("onnx", "export"),
    ("onnxscript", "export"),
    ("onnxsim", "export"),
    ("pnnx", "export"),
    ("matplotlib", "bench"),
)
_ALTERNATIVES = {"opencv-python": ("opencv-python-headless", "opencv-contrib-python")}
_TIMEOUT = 60

Status = Literal["works", "missing", "broken"]


@dataclass(frozen=True)
class Package:
    """One package: its version (`None` if it is missing) and the extra that installs it."""

    name: str
    version: str | None
    extra: str


@dataclass(frozen=True)
class Engine:
    """One engine, tested in a separate process. `detail`: the error. `features`: instruction sets in use."""

    name: str
    status: Status
    detail: str
    features: tuple[str, ...] = ()


@dataclass(frozen=True)
class Part:
    """One part of what `pocketdet cycles` needs. `detail`: what was found, or how to get it."""

    name: str
    status: Status
    detail: str


@dataclass(frozen=True)
class Machine:
    """The machine that runs this command."""

    system: str
    processor: str
    architecture: str
    cores: int
    python: str
    pocketdet: str


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Report versions, the processor and which engines work.

    Each engine runs a small network in a separate process, so that a crash is only a line of the report. The
    exit code is 1 if a required package is missing or an installed engine does not work.

    Example: pocketdet doctor --json
    """
    machine = _machine()
    packages = [_package(name, extra) for name, extra in PACKAGES]
    engines = [try_engine(name) for name in ("core", "ncnn", "native", "onnxruntime")]
    parts = cycles_parts()
    needed = all(p.version for p in packages if not p.extra)
    ok = needed and all(
        e.status == "works" or (e.status == "missing" and e.name in ("native", "onnxruntime"))
        for e in engines
    )
    if as_json:
        report = {
            "machine": asdict(machine),
            "packages": [asdict(p) for p in packages],
            "engines": [asdict(e) for e in engines],
            "cycles": [asdict(p) for p in parts],
            "ok": ok,
        }
        typer.echo(json.dumps(report, indent=2))
    else:
        _print(machine, packages, engines, parts, ok)
    if not ok:
        raise typer.Exit(1)


def try_engine(name: str) -> Engine:
    """Run the probe of an engine (see `probe.py`) in a child process and return its result."""
    from pocketdet.runtime.native_build import library_path

    if name == "native" and not library_path().is_file():
        return Engine(name, "missing", "not built: make native")
    if name not in ("core", "native") and _version(name) is None:
        extra = next(extra for package, extra in PACKAGES if package == name)
        return Engine(name, "missing", f"not installed: {_install(extra)}")
    command = [
        sys.executable,
        "-P",
        "-m",
        "pocketdet.cli.probe",
        name,
    ]  # -P: do not import from the current folder
    try:
        child = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT, check=False)
    except subprocess.TimeoutExpired:
        return Engine(name, "broken", f"did not finish a test run within {_TIMEOUT} s")
    if child.returncode < 0:
        return Engine(name, "broken", f"crashed with {signal.Signals(-child.returncode).name} in a test run")
    if child.returncode:
        lines = child.stderr.strip().splitlines()
        return Engine(name, "broken", lines[-1] if lines else f"ended with exit code {child.returncode}")
    features = json.loads(child.stdout.strip().splitlines()[-1])["features"]
    return Engine(name, "works", "", tuple(features))


def cycles_parts() -> list[Part]:
    """Look for the parts of `pocketdet cycles`. None of them is required."""
    from pocketdet.armmodel.instrument import find_emulator, find_llvm, find_runner

    def look(name: str, find: Callable[[], object]) -> Part:
        try:
            return Part(name, "works", str(find()))
        except PocketdetError as error:
            return Part(name, "missing", str(error))

    return [
        look("LLVM", lambda: f"llvm-mca {find_llvm().version}"),
        look("qemu", lambda: find_emulator().qemu),
        look("ARM runner", find_runner),
    ]


def _machine() -> Machine:
    return Machine(
        system=platform.platform(),
        processor=_processor_name(),
        architecture=platform.machine(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        python=platform.python_version(),
        pocketdet=__version__,
    )


def _processor_name() -> str:
    """The processor's name from /proc/cpuinfo (x86) or the device tree (ARM boards), else from Python."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith(("model name", "Model", "Hardware")):
                return line.split(":", 1)[1].strip()
        return Path("/proc/device-tree/model").read_text().strip("\0\n")
    except OSError:
        return platform.processor() or "unknown"


def _package(name: str, extra: str) -> Package:
    found = (_version(candidate) for candidate in (name, *_ALTERNATIVES.get(name, ())))
    return Package(name, next(filter(None, found), None), extra)


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _install(extra: str) -> str:
    return f"pip install 'pocketdet[{extra}]'" if extra else "pip install --force-reinstall pocketdet"


def _print(
    machine: Machine, packages: list[Package], engines: list[Engine], parts: list[Part], ok: bool
) -> None:
    console = Console(highlight=False)
    table = Table(title="machine", title_justify="left", show_header=False)
    for key, value in asdict(machine).items():
        table.add_row(key, escape(str(value)))
    console.print(table)
    table = Table("package", "version", "", title="packages", title_justify="left")
    for package in packages:
        missing = f"[yellow]{escape(_install(package.extra))}[/]"
        table.add_row(package.name, package.version or "-", "" if package.version else missing)
    console.print(table)
    table = Table("", "engine", "", title="engines, each tested on a small network", title_justify="left")
    marks = {"works": "[green]✓[/]", "missing": "[yellow]-[/]", "broken": "[red]x[/]"}
    for engine in engines:
        table.add_row(marks[engine.status], engine.name, escape(engine.detail or " ".join(engine.features)))
    console.print(table)
    table = Table("", "part", title="for pocketdet cycles, optional", title_justify="left")
    table.add_column("", overflow="fold")  # paths are copied from it
    for part in parts:
        table.add_row(marks[part.status], part.name, escape(part.detail))
    console.print(table)
    if ok:
        console.print("ready: bundles run on this machine", style="green")
    else:
        console.print("not ready: see the lines marked x and the missing packages", style="bold red")
