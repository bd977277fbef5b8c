"""`pocketdet doctor`: a report in every state of the machine."""

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pocketdet.cli import doctor as module
from pocketdet.cli.main import app
from pocketdet.runtime.native_build import library_path

runner = CliRunner()


def test_this_machine_is_ready() -> None:
    result = runner.invoke(app, ["doctor", "--json"])
    report = json.loads(result.stdout)
    assert result.exit_code == 0
    assert report["ok"] is True
    assert report["machine"]["python"] == sys.version.split()[0]
    engines = {e["name"]: e for e in report["engines"]}
    assert engines["core"]["status"] == engines["ncnn"]["status"] == "works"
    assert engines["native"]["status"] == ("works" if library_path().is_file() else "missing")
    packages = {p["name"]: p for p in report["packages"]}
    assert packages["numpy"]["version"]
    assert packages["torch"]["extra"] == "train"


def test_missing_extras_say_what_installs_them(monkeypatch: pytest.MonkeyPatch) -> None:
    versions = {"numpy", "ncnn", "opencv-python-headless", "pydantic", "safetensors", "rich", "typer"}
    monkeypatch.setattr(module, "_version", lambda name: "1.0" if name in versions else None)
    result = runner.invoke(app, ["doctor"], env={"COLUMNS": "160"})
    assert result.exit_code == 0
    for extra in ("train", "export", "bench", "onnxruntime"):
        assert f"pip install 'pocketdet[{extra}]'" in result.stdout
    assert "ready: bundles run on this machine" in result.stdout


def test_a_missing_requirement_is_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_version", lambda name: None if name == "ncnn" else "1.0")
    monkeypatch.setattr(module, "PACKAGES", module.PACKAGES[:7])
    monkeypatch.setattr(
        module, "try_engine", lambda name: module.Engine(name, "missing" if name == "ncnn" else "works", "")
    )
    result = runner.invoke(app, ["doctor"])
    assert result.exit_code == 1
    assert "not ready" in result.stdout


def test_long_paths_are_not_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    path = "/home/someone/.cache/pocketdet/" + "qemu-aarch64-plugins-" * 4 + "/qemu-aarch64"
    monkeypatch.setattr(module, "cycles_parts", lambda: [module.Part("qemu", "works", path)])
    monkeypatch.setattr(module, "try_engine", lambda name: module.Engine(name, "works", ""))
    result = runner.invoke(app, ["doctor"], env={"COLUMNS": "80"})
    rows = [line.split("│") for line in result.stdout.splitlines()]
    assert path in "".join(row[3].strip() for row in rows if len(row) == 5)


@pytest.mark.parametrize(
    ("code", "detail"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "crashed with SIGSEGV in a test run"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGILL)", "crashed with SIGILL in a test run"),
        ("raise ImportError('libgomp.so.1: no such file')", "ImportError: libgomp.so.1: no such file"),
        ("raise SystemExit(3)", "ended with exit code 3"),
        ("import time; time.sleep(20)", "did not finish a test run within 1 s"),
    ],
)
def test_a_broken_engine_is_reported(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: str, detail: str
) -> None:
    (tmp_path / "broken.py").write_text(code)
    interpreter = tmp_path / "python"
    interpreter.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{tmp_path / "broken.py"}"\n')
    interpreter.chmod(0o755)
    monkeypatch.setattr(module, "_TIMEOUT", 1 if "sleep" in code else 60)
    monkeypatch.setattr(module.sys, "executable", str(interpreter))
    engine = module.try_engine("core")
    assert (engine.status, engine.detail) == ("broken", detail)
