"""The built wheel, in an environment of its own that has the runtime's dependencies and nothing else."""

import email
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from needs import NATIVE

from pocketdet import __version__
from pocketdet.benchmarks.record_io import read_record
from pocketdet.runtime.detector import Detector
from pocketdet.runtime.images import read_image
from pocketdet.runtime.native_build import AARCH64, X86_64

ROOT = Path(__file__).parents[1]
PACKAGES = ("cli", "models", "export", "runtime", "benchmarks", "datasets", "evaluation", "spec", "armmodel")
CHECKOUT_ONLY = (
    "training/",
    "datasets/scenes/",
    "models/training/",
    "models/scenes/",
    "benchmarks/results/",
    "armmodel/native/",
)
NO_INDEX = (
    "Failed to establish a new connection",
    "Temporary failure in name resolution",
    "Network is unreachable",
)


def build(folder: Path, *settings: str, source: Path = ROOT) -> Path:
    """A wheel of this checkout, made in `folder`: the developer's build folder is not touched."""
    command = [sys.executable, "-m", "pip", "wheel", str(source), "--no-deps", "--no-build-isolation"]
    command += ["-w", str(folder / "out")]
    for setting in (f"build-dir={folder / 'build'}", *settings):
        command += ["--config-settings", setting]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = (folder / "out").iterdir()
    return path


@pytest.fixture(scope="module")
def compiled_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel as it is shipped: with runners, a script for what is not built here."""
    folder = tmp_path_factory.mktemp("wheel")
    runners = folder / "runners"
    runners.mkdir()
    for native in (X86_64, AARCH64):
        program = runners / f"pocketdet-run-{native.machine}"
        if native.runner.is_file():
            shutil.copyfile(native.runner, program)
        else:
            program.write_text("#!/bin/sh\nexit 2\n")
    return build(folder, f"cmake.define.POCKETDET_RUNNERS={runners}")


@pytest.fixture(scope="module")
def python_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same without the compiled core, in a tenth of the time."""
    return build(tmp_path_factory.mktemp("python-wheel"), "wheel.cmake=false")


@pytest.fixture(params=["python_wheel", pytest.param("compiled_wheel", marks=pytest.mark.slow)])
def wheel(request: pytest.FixtureRequest) -> Path:
    """What is true of both."""
    path: Path = request.getfixturevalue(request.param)
    return path


@pytest.fixture(scope="module")
def environment(compiled_wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the wheel and its dependencies; skipped by name without a package index."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    install = [str(folder / "bin" / "pip"), "install", "-q", "-c", str(ROOT / "constraints.txt")]
    install.append(str(compiled_wheel))
    done = subprocess.run(install, capture_output=True, text=True, check=False)
    if any(words in done.stderr for words in NO_INDEX):
        pytest.skip("the wheel's dependencies cannot be installed: no package index can be reached")
    assert done.returncode == 0, done.stderr
    return folder


def run(environment: Path, program: str, *arguments: object, cwd: Path) -> "subprocess.CompletedProcess[str]":
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL"))}
    command = [str(environment / "bin" / program), *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, cwd=cwd, env={**clean, "COLUMNS": "160"}, check=False
    )


def test_the_wheel_holds_the_packages_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    ours = {name for name in names if not name.split("/")[0].endswith(".dist-info")}
    assert {name.split("/")[0] for name in ours} == {"pocketdet"}
    for needed in ("__init__.py", "py.typed", "errors.py", "runtime/_core.pyi", "runtime/detector.py"):
        assert f"pocketdet/{needed}" in ours
    for package in PACKAGES:
        assert f"pocketdet/{package}/__init__.py" in ours
    unwanted = [n for n in ours if "/tests/" in n or "/native/" in n or n.endswith((".cpp", ".h", ".pyc"))]
    unwanted += [n for n in ours if n.removeprefix("pocketdet/").startswith(CHECKOUT_ONLY)]
    assert unwanted == []


@pytest.mark.slow
def test_the_compiled_core_is_in_the_wheel(compiled_wheel: Path) -> None:
    with zipfile.ZipFile(compiled_wheel) as archive:
        names = archive.namelist()
        modes = {i.filename: i.external_attr >> 16 for i in archive.infolist()}
    assert sum(name.startswith("pocketdet/runtime/_core.") and name.endswith(".so") for name in names) == 1
    for machine in ("x86_64", "aarch64"):
        assert modes[f"pocketdet/runtime/runners/pocketdet-run-{machine}"] & 0o111 == 0o111


def test_every_module_of_the_checkout_is_in_the_wheel(wheel: Path) -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "*.py"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if tracked.returncode != 0:
        pytest.skip("this is no git checkout, so what belongs in the wheel cannot be listed")
    present = [name for name in tracked.stdout.split() if (ROOT / name).exists()]
    expected = {
        name.removeprefix("src/") if name.startswith("src/") else f"pocketdet/{name}"
        for name in present
        if name.split("/")[0] in ("src", *PACKAGES)
        and "/native/" not in name
        and not name.startswith(CHECKOUT_ONLY)
    }
    with zipfile.ZipFile(wheel) as archive:
        assert expected <= set(archive.namelist())


@pytest.mark.slow
def test_the_sdist_has_each_file_once_and_makes_the_same_wheel(python_wheel: Path, tmp_path: Path) -> None:
    script = "import sys; from scikit_build_core.build import build_sdist; build_sdist(sys.argv[1])"
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], cwd=ROOT, capture_output=True, check=True)
    (sdist,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        files = [member.name for member in archive if member.isfile()]
    assert f"pocketdet-{__version__}/runtime/detector.py" in files
    assert f"pocketdet-{__version__}/src/pocketdet/runtime/detector.py" not in files
    wheel = build(tmp_path, "wheel.cmake=false", source=sdist)
    with zipfile.ZipFile(wheel) as ours, zipfile.ZipFile(python_wheel) as theirs:
        assert sorted(ours.namelist()) == sorted(theirs.namelist())


def test_the_metadata_is_complete(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
        metadata = email.message_from_bytes(archive.read(name))
        scripts = archive.read(name.replace("METADATA", "entry_points.txt")).decode()
        metadata_files = {n.partition(".dist-info/")[2] for n in archive.namelist()}
    assert "licenses/LICENSE" in metadata_files
    assert metadata["Name"] == "pocketdet"
    assert metadata["License-Expression"] == "Apache-2.0"
    for licence in (ROOT / "runtime/native/third_party").glob("*/LICENSE"):
        assert f"licenses/{licence.relative_to(ROOT)}" in metadata_files
    assert "pocketdet=pocketdet.cli.main:main" in scripts.replace(" ", "")
    plain = [r for r in metadata.get_all("Requires-Dist", []) if "extra ==" not in r]
    assert not [r for r in plain if r.startswith(("torch", "onnx", "pnnx", "matplotlib"))]
    assert {"train", "export", "bench", "dev"} <= set(metadata.get_all("Provides-Extra", []))


@pytest.mark.slow
def test_the_commands_work_without_torch(environment: Path, small_bundle: Path, tmp_path: Path) -> None:
    absent = run(environment, "python", "-c", "import torch", cwd=tmp_path)
    assert "No module named 'torch'" in absent.stderr
    version = run(environment, "pocketdet", "--version", cwd=tmp_path)
    assert (version.returncode, version.stdout.split()[0]) == (0, "pocketdet")
    doctor = run(environment, "pocketdet", "doctor", cwd=tmp_path)
    assert doctor.returncode == 0, doctor.stdout + doctor.stderr
    verify = run(environment, "pocketdet", "verify", small_bundle, cwd=tmp_path)
    assert verify.returncode == 0, verify.stdout + verify.stderr
    assert "all 12 stage checks hold" in verify.stdout  # ncnn alone: onnxruntime is not installed
    info = run(environment, "pocketdet", "info", small_bundle, cwd=tmp_path)
    assert info.returncode == 0
    assert "thundernet-snet49" in info.stdout
    train = run(environment, "pocketdet", "train", "run.toml", cwd=tmp_path)
    assert train.returncode == 2
    assert "pip install 'pocketdet[train]'" in train.stderr
    for arguments in (("export", "w.pt"), ("demo", "--image", "a.png"), ("verify", small_bundle, "--layers")):
        refused = run(environment, "pocketdet", *arguments, cwd=tmp_path)
        assert refused.returncode == 2
        assert "pip install 'pocketdet[export]'" in refused.stderr
        assert "Traceback" not in refused.stderr


@pytest.mark.slow
def test_bench_takes_the_runner_of_the_wheel(environment: Path, small_bundle: Path, tmp_path: Path) -> None:
    if platform.machine() != "x86_64" or not X86_64.runner.is_file():
        pytest.skip(NATIVE)
    done = run(environment, "pocketdet", "bench", small_bundle, "--quick", "--out", "records", cwd=tmp_path)
    assert done.returncode in (0, 1), done.stderr  # 1: this machine is too busy for a VALID run
    (path,) = (tmp_path / "records").iterdir()
    record = read_record(path)
    assert (record.engine.language, record.golden.ok) == ("C++", True)
    assert record.source.commit is None


@pytest.mark.slow
def test_it_finds_the_same_boxes(environment: Path, small_bundle: Path, tmp_path: Path) -> None:
    pixels = np.random.default_rng(3).integers(0, 256, (9, 12, 3), np.uint8)
    cv2.imwrite(str(tmp_path / "photo.png"), cv2.resize(pixels, (240, 180), interpolation=cv2.INTER_CUBIC))
    with Detector(small_bundle, engine="ncnn") as detector:  # the native engine adds in another order
        expected = detector.detect(read_image(tmp_path / "photo.png"))
    assert len(expected) > 0
    code = (
        "import sys, numpy as np, pocketdet\n"
        "detector = pocketdet.Detector(sys.argv[1], engine='ncnn')\n"
        "found = detector.detect(pocketdet.read_image('photo.png'))\n"
        "np.savez('found.npz', boxes=found.boxes, scores=found.scores, labels=found.labels)\n"
        "print(pocketdet.__file__)"
    )
    done = run(environment, "python", "-c", code, small_bundle, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(environment))
    with np.load(tmp_path / "found.npz") as found:
        for field in ("boxes", "scores", "labels"):
            assert np.array_equal(found[field], getattr(expected, field)), field
    detect = run(
        environment, "pocketdet", "detect", small_bundle, "photo.png", "--out", "drawn", cwd=tmp_path
    )
    assert detect.returncode == 0, detect.stderr
    assert [p.name for p in (tmp_path / "drawn").iterdir()] == ["photo_boxes.jpg"]


@pytest.mark.slow
def test_types_are_found_by_a_type_checker(environment: Path, tmp_path: Path) -> None:
    if shutil.which("mypy", path=str(Path(sys.executable).parent)) is None:
        pytest.skip("mypy is not installed")
    (tmp_path / "user.py").write_text(
        "from pocketdet import Detector\nreveal_type(Detector('x').detect)\nDetector('x', thread=3)\n"
    )
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--python-executable",
        str(environment / "bin" / "python"),
        "user.py",
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "Detections" in done.stdout, done.stdout + done.stderr
    assert 'Unexpected keyword argument "thread"' in done.stdout
