"""The arrows between the rooms hold: import-linter reads them from pyproject.toml."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("models", "export", "runtime", "benchmarks")


def test_import_contracts(tmp_path: Path) -> None:
    # the linter reads packages from disk, and the editable install maps them from the top level
    package = tmp_path / "pocketdet"
    shutil.copytree(ROOT / "pocketdet", package, ignore=shutil.ignore_patterns("__pycache__"))
    for room in ROOMS:
        shutil.copytree(ROOT / room, package / room, ignore=shutil.ignore_patterns("__pycache__", "native"))
    lint = Path(sys.executable).parent / "lint-imports"
    done = subprocess.run(
        [lint, "--config", ROOT / "pyproject.toml", "--no-cache"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 kept, 0 broken" in done.stdout
