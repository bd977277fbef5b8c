"""The module paths that users type before `pocketdet.training` moved out of `pocketdet.models` still work."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize("module", ["scenes", "training.rendered", "training.overfit", "training.pretrain"])
def test_old_module_paths_run_and_name_the_new_one(module: str) -> None:
    command = [sys.executable, "-m", f"pocketdet.models.{module}", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("usage: python -m pocketdet.")
    assert "the old name is deprecated" in done.stderr
