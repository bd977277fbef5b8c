"""The build for `pocketdet cycles`: what it fetches and refuses, and what it says where it cannot go on."""

import importlib.util
import subprocess
import sys
import tarfile
from pathlib import Path
from types import ModuleType

import pytest

from pocketdet.armmodel.instrument import Emulator, find_emulator

FOLDER = Path(__file__).parents[2] / "runtime" / "native"


@pytest.fixture
def build(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    spec = importlib.util.spec_from_file_location("build_arm_model", FOLDER / "build_arm_model.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "build_arm_model", module)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "glib_flags", list)
    monkeypatch.setattr(module, "system_qemu", lambda cache, flags: None)
    return module


def run(module: ModuleType, monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr(sys, "argv", ["build_arm_model.py", "--ncnn", "/none", *map(str, words)])
    return int(module.main())


def test_a_source_with_another_hash(
    build: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = tmp_path / "qemu_7.2+dfsg.orig.tar.xz"
    archive.write_bytes(b"something else")
    assert run(build, monkeypatch, "--source", archive) == 2
    assert f"expected SHA-256 {build.SHA256[archive.name]}" in capsys.readouterr().err
    other = tmp_path / "qemu-99.tar.xz"
    other.write_bytes(b"")
    assert run(build, monkeypatch, "--source", other) == 2
    assert "expected SHA-256 the name of a known archive" in capsys.readouterr().err


def test_the_cache_may_be_moved(build: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    cache, moved = tmp_path / "cache" / "pocketdet", tmp_path / "moved"
    cache.mkdir(parents=True)
    for name in ("qemu", "plugin", "run_network"):
        (cache / name).touch()
    monkeypatch.setattr(build, "built_qemu", lambda *_: build.Qemu(cache / "qemu", cache))
    monkeypatch.setattr(build, "compile_plugin", lambda *_: cache / "plugin")
    monkeypatch.setattr(build, "compile_once", lambda *_: cache / "run_network")
    build.build(cache, Path("/none"), None, 1)
    cache.parent.rename(moved)
    monkeypatch.setenv("XDG_CACHE_HOME", str(moved))
    found = find_emulator()
    assert found == Emulator(*(moved / "pocketdet" / name for name in ("qemu", "plugin", "run_network")))


def test_no_apt(
    build: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(build.shutil, "which", lambda name: None)
    assert run(build, monkeypatch) == 2
    assert "there is no apt-get; give --source" in capsys.readouterr().err


def test_apt_that_fails_is_quoted(
    build: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failed = subprocess.CompletedProcess([], 100, "", "E: some\nE: Unable to locate package qemu\n")
    monkeypatch.setattr(build.shutil, "which", lambda name: "/usr/bin/apt-get")
    monkeypatch.setattr(build, "source_line", lambda: "deb-src http://mirror bookworm main\n")
    monkeypatch.setattr(build.subprocess, "run", lambda *_, **__: failed)
    assert run(build, monkeypatch) == 2
    error = capsys.readouterr().err
    assert "apt-get update fails: E: Unable to locate package qemu; or give --source" in error


def test_what_a_compiler_says_is_quoted(build: ModuleType, tmp_path: Path) -> None:
    source = tmp_path / "broken.c"
    source.write_text("int main(void) { return x; }\n")
    with pytest.raises(build.BuildError, match="gcc fails on broken"):
        build.compile_once(tmp_path, "broken", ["gcc", str(source)], [], b"1")
    with pytest.raises(build.BuildError, match="no-such-gcc: cannot be started"):
        build.compile_once(tmp_path, "broken", ["no-such-gcc", str(source)], [], b"2")
    source.write_text("int main(void) { return 0; }\n")
    assert build.compile_once(tmp_path, "fine", ["gcc", str(source)], [], b"3").is_file()


def test_qemu_is_built_once_and_kept_whole(
    build: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Everything but qemu's own compilation, with an archive in its place."""
    tree = tmp_path / "qemu-1.0"
    (tree / "include" / "qemu").mkdir(parents=True)
    (tree / "include" / "qemu" / "qemu-plugin.h").write_text("/* header */\n")
    (tree / "COPYING").write_text("GPL\n")
    (tree / "configure").write_text("#!/bin/sh\necho > build.ninja\n")
    (tree / "configure").chmod(0o755)
    archive = tmp_path / "qemu_1.0.orig.tar.xz"
    with tarfile.open(archive, "w:xz") as stream:
        stream.add(tree, "qemu-1.0")
    compiled: list[list[str]] = []

    def compile_it(command: list[str], log: Path) -> None:
        compiled.append(command)
        (log.parent / "build" / "qemu-aarch64").write_text("program\n")

    monkeypatch.setattr(build, "fetch", lambda work: archive)
    monkeypatch.setattr(build, "run_logged", compile_it)
    monkeypatch.setattr(build, "tool", lambda name: f"/usr/bin/{name}")
    cache = tmp_path / "cache"
    cache.mkdir()
    first = build.built_qemu(cache, None, 3)
    assert first.program.read_text() == "program\n"
    assert (first.include / "qemu-plugin.h").is_file()
    assert archive.name in (first.include / "build.json").read_text()
    assert not list(cache.glob("*.part"))
    assert build.built_qemu(cache, None, 3) == first
    assert len(compiled) == 1
    assert "-j3" in compiled[0]
