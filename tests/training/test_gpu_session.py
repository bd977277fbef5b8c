"""A session on a lent machine resumes what is there, ends in time and leaves the run to be fetched."""

import os
import subprocess
from pathlib import Path

import pytest

from pocketdet import training

SCRIPT = Path(training.__file__).parent / "gpu_session.sh"
# instead of Python: writes its arguments and a checkpoint, and ends as the file "ending" says
TRAINING = """#!/bin/sh
mkdir -p runs/one
echo "$*" >> runs/one/arguments
touch runs/one/state.pt
. ./ending
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    program = tmp_path / "training"
    program.write_text(TRAINING)
    program.chmod(0o755)
    return tmp_path


def session(folder: Path, ending: str, seconds: str) -> "subprocess.CompletedProcess[str]":
    (folder / "ending").write_text(ending)
    words = ["sh", str(SCRIPT), "recipe.toml", "runs/one", "out", seconds, "--workers", "3"]
    environment = {**os.environ, "PYTHON": "./training"}
    return subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_a_run_is_begun_resumed_and_brought_back(folder: Path) -> None:
    first = session(folder, "exit 0", "600")
    assert (first.returncode, first.stdout) == (0, "the run has ended\n")
    again = session(folder, "while :; do sleep 0.05; done", "1")
    assert again.returncode == 0
    assert again.stdout == "the time is up: fetch out, and start the session again to go on\n"
    assert (folder / "out" / "one" / "arguments").read_text().splitlines() == [
        "-m pocketdet train recipe.toml --workers 3",
        "-m pocketdet train recipe.toml --resume --workers 3",
    ]


def test_a_run_that_fails_is_brought_back_with_its_exit_code(folder: Path) -> None:
    ending = session(folder, "exit 2", "600")
    assert (ending.returncode, ending.stdout) == (2, "")
    assert (folder / "out" / "one" / "state.pt").exists()
