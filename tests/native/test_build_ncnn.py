"""The build of ncnn: what it asks for, and what it says where it cannot go on."""

import importlib.util
import re
import shutil
import sys
import tarfile
from pathlib import Path
from types import ModuleType

import pytest

from pocketdet.runtime.ncnn_graph import LAYER_TYPES

SCRIPT = Path(__file__).parents[2] / "runtime" / "native" / "build_ncnn.py"


@pytest.fixture(scope="module")
def build_ncnn() -> ModuleType:
    spec = importlib.util.spec_from_file_location("build_ncnn", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["build_ncnn"] = module
    spec.loader.exec_module(module)
    return module


def run(module: ModuleType, monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr(sys, "argv", ["build_ncnn.py", *map(str, words)])
    return int(module.main())


def test_no_compiler(
    build_ncnn: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("AARCH64_CXX", "no-such-g++")
    assert run(build_ncnn, monkeypatch, "--target", "aarch64", "--cache", tmp_path) == 2
    out, error = capsys.readouterr()
    assert out == ""
    assert "no compiler 'no-such-g++' for aarch64" in error
    assert "apt install g++-aarch64-linux-gnu" in error


def test_a_compiler_for_another_machine(
    build_ncnn: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if not shutil.which("g++"):
        pytest.skip("no g++")
    monkeypatch.setattr(build_ncnn.os, "uname", lambda: type("Uname", (), {"machine": "riscv64"}))
    assert run(build_ncnn, monkeypatch, "--cache", tmp_path) == 2
    assert "expected riscv64" in capsys.readouterr().err


def test_a_wrong_archive(
    build_ncnn: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    archive = tmp_path / "ncnn.tar.gz"
    archive.write_bytes(b"not ncnn")
    assert run(build_ncnn, monkeypatch, "--cache", tmp_path / "cache", "--source", archive) == 2
    assert f"expected SHA-256 {build_ncnn.SHA256}" in capsys.readouterr().err
    assert not list((tmp_path / "cache").glob("ncnn-*/"))


def test_no_index(
    build_ncnn: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    unearth = tmp_path / "python"
    unearth.write_text("#!/bin/sh\necho 'No matching package is found' >&2\nexit 1\n")
    unearth.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(unearth))
    assert run(build_ncnn, monkeypatch, "--cache", tmp_path / "cache") == 2
    error = capsys.readouterr().err
    assert "cannot be fetched from the package index: No matching package" in error
    assert "--source" in error


def test_a_full_disk(
    build_ncnn: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(build_ncnn.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 5 << 20}))
    assert run(build_ncnn, monkeypatch, "--cache", tmp_path) == 2
    assert "5 MiB are free" in capsys.readouterr().err


def test_what_is_there_is_not_built_again(
    build_ncnn: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    target = build_ncnn.targets()["host"]
    monkeypatch.setattr(build_ncnn, "compiler_of", lambda _: "some compiler")
    made: list[str] = []

    def compile_nothing(_tree: Path, work: Path, *_: object) -> None:
        made.append(str(work))
        (work / "installed").mkdir(parents=True)

    monkeypatch.setattr(build_ncnn, "archive", lambda *_: tmp_path)
    monkeypatch.setattr(build_ncnn, "unpack", lambda _, work: work)
    monkeypatch.setattr(build_ncnn, "_compile", compile_nothing)
    first = build_ncnn.build(target, tmp_path / "cache", 1, None)
    assert (first / "build.json").exists()
    assert build_ncnn.build(target, tmp_path / "cache", 1, None) == first
    assert len(made) == 1
    monkeypatch.setattr(build_ncnn, "compiler_of", lambda _: "another compiler")
    assert build_ncnn.build(target, tmp_path / "cache", 1, None) != first
    assert not list((tmp_path / "cache").glob("*.part"))


def test_a_sanitized_build_is_kept_apart(
    build_ncnn: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    options: list[dict[str, str]] = []

    def compile_nothing(_tree: Path, work: Path, _target: object, asked: dict[str, str], *_: object) -> None:
        options.append(asked)
        (work / "installed").mkdir(parents=True)

    monkeypatch.setattr(build_ncnn, "compiler_of", lambda _: "some compiler")
    monkeypatch.setattr(build_ncnn, "archive", lambda *_: tmp_path)
    monkeypatch.setattr(build_ncnn, "unpack", lambda _, work: work)
    monkeypatch.setattr(build_ncnn, "_compile", compile_nothing)
    assert run(build_ncnn, monkeypatch, "--cache", tmp_path / "cache") == 0
    assert run(build_ncnn, monkeypatch, "--cache", tmp_path / "cache", "--sanitize") == 0
    folders = sorted(p.name for p in (tmp_path / "cache").glob("ncnn-*") if p.is_dir())
    assert ["-host-sanitize-" in name for name in folders] == [False, True]
    normal, sanitized = options
    assert "-fsanitize=address" in sanitized["CMAKE_CXX_FLAGS_RELWITHDEBINFO"]
    assert not any("sanitize" in value for value in normal.values())
    assert normal["NCNN_RUNTIME_CPU"] == sanitized["NCNN_RUNTIME_CPU"] == "ON"


def test_layers_that_ncnn_makes_by_itself_are_built(build_ncnn: ModuleType, tmp_path: Path) -> None:
    """Every type that the source of a kept layer, or of Net and Mat, creates on x86 or ARM is kept too."""
    archive = build_ncnn.cache_folder() / f"ncnn-{build_ncnn.VERSION}.tar.gz"
    if not archive.exists():
        pytest.skip(f"{archive} is not there: make native")
    with tarfile.open(archive) as tar:
        names = [n for n in tar.getnames() if re.search(r"/src/(layer/(x86/|arm/)?)?[^/]+\.(cpp|h)$", n)]
        for name in names:
            content = tar.extractfile(name)
            assert content is not None
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes(content.read())
    kept = {name.lower() for name in build_ncnn.LAYERS}
    missing: set[str] = set()
    for path in sorted(tmp_path.rglob("*.[ch]*")):
        stem = path.stem.partition("_")[0]
        is_layer = path.parent.name in ("layer", "x86", "arm")
        if is_layer and stem not in kept and path.suffix == ".cpp":
            continue
        if path.name == "gpu.cpp":
            continue
        made = re.findall(r"LayerType::(\w+)", path.read_text(errors="replace"))
        missing |= {name for name in made if name.lower() not in kept}
    # net.cpp asks for the type of a layer that is there
    assert missing - {"CustomBit", "MultiHeadAttention", "SDPA"} == set()


def test_every_layer_with_a_shape_rule_is_built(build_ncnn: ModuleType) -> None:
    assert tuple(LAYER_TYPES) == build_ncnn.IN_BUNDLES
    assert len(build_ncnn.IN_BUNDLES) > 60
