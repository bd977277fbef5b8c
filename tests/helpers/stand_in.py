"""Programs that play pocketdet-run in tests: the Python runner as a file, with what a test does to it."""

import sys
from pathlib import Path

MODULE = "pocketdet.benchmarks.targets.python_runner"


def write_stand_in(folder: Path, before: str = "") -> Path:
    """A file `pocketdet-run` that runs some lines of sh, then the Python runner with its arguments."""
    path = folder / "pocketdet-run"
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(f'#!/bin/sh\n{before}\nexec {sys.executable} -m {MODULE} "$@"\n')
    path.chmod(0o755)
    return path
