"""The arrows between the rooms hold: import-linter reads them from pyproject.toml."""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("models", "datasets", "accuracy", "export", "runtime", "benchmarks")

# An editable install maps the rooms with an import hook that answers before sys.path; lint the copy instead.
LINT = """
import sys
sys.meta_path[:] = [f for f in sys.meta_path if not type(f).__module__.startswith("_editable")]
sys.path.insert(0, sys.argv[1])
from importlinter.cli import lint_imports
sys.exit(lint_imports(config_filename=sys.argv[2], no_cache=True))
"""


def test_import_contracts(tmp_path: Path) -> None:
    package = tmp_path / "pocketdet"
    shutil.copytree(ROOT / "pocketdet", package, ignore=shutil.ignore_patterns("__pycache__"))
    for room in ROOMS:
        shutil.copytree(ROOT / room, package / room, ignore=shutil.ignore_patterns("__pycache__", "native"))
    done = subprocess.run(
        [sys.executable, "-c", LINT, tmp_path, ROOT / "pyproject.toml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 kept, 0 broken" in done.stdout
