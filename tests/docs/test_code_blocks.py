"""The `bash` and `python` blocks of Markdown files run, in order, in one folder for each file.

A comment before a block changes how it runs: `slow` (only in the slow test of the file), `exit: 0 1` (exit
codes that are allowed) or `file: NAME` (the block, of any language, is written to that file). `sh` blocks are
not run; `test_links.py` checks the commands in them.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from markdown_files import ROOT, CodeBlock, code_blocks, markdown_files

PROGRAM = """#!{python}
import sys
sys.argv[0] = {name!r}
from pocketdet.cli.main import main
main()
"""
PATIENCE = 900.0  # seconds for all blocks of a file, however busy the machine is


def _runs(block: CodeBlock) -> bool:
    return block.language in ("bash", "python") or block.directive.startswith("file:")


def _runs_quickly(block: CodeBlock) -> bool:
    return _runs(block) and block.directive != "slow"


def _id(path: Path) -> str:
    return str(path.relative_to(ROOT))


LONG = ("docs/tutorials/own-onnx-model.md",)  # exports three detectors
PAGES = [
    pytest.param(path, marks=[pytest.mark.slow] * (_id(path) in LONG))
    for path in markdown_files()
    if any(map(_runs_quickly, code_blocks(path)))
]
SLOW_PAGES = [path for path in markdown_files() if any(b.directive == "slow" for b in code_blocks(path))]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder in which paths such as docs/images/scene.jpg and the program `pocketdet` exist."""
    for name in ("docs", "models", "training"):
        (tmp_path / name).symlink_to(ROOT / name)
    program = tmp_path / ".bin" / "pocketdet"
    program.parent.mkdir()
    program.write_text(PROGRAM.format(python=sys.executable, name=str(program)))
    program.chmod(0o755)
    return tmp_path


@pytest.mark.parametrize("page", PAGES, ids=_id)
def test_code_blocks_run_on_a_small_bundle(page: Path, folder: Path, trained_bundle: Path) -> None:
    """The blocks that are not slow, on a bundle of 96x96 input in place of those that slow blocks make."""
    for name in ("bundles/thundernet-snet49.pocketdet", "demo/thundernet-snet49.pocketdet"):
        shutil.copytree(trained_bundle, folder / name)
    _run_blocks([block for block in code_blocks(page) if _runs_quickly(block)], folder)


@pytest.mark.slow
@pytest.mark.nightly
@pytest.mark.parametrize("page", SLOW_PAGES, ids=_id)
def test_all_code_blocks_run(page: Path, folder: Path) -> None:
    _run_blocks([block for block in code_blocks(page) if _runs(block)], folder)


def _run_blocks(blocks: list[CodeBlock], folder: Path) -> None:
    """Run shell blocks one by one; Python blocks share their names, in one process for each run of them."""
    environment = {
        **os.environ,
        "PATH": f"{folder / '.bin'}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT / "src"),
        "COLUMNS": "120",
    }
    python = ""
    for position, block in enumerate(blocks):
        if block.directive.startswith("file:"):
            (folder / block.directive.removeprefix("file:").strip()).write_text(block.text)
            continue
        if block.language == "python":
            python += f"# line {block.line}\n{block.text}\n"
            following = blocks[position + 1] if position + 1 < len(blocks) else None
            if following and following.language == "python" and following.directive in ("", "slow"):
                continue
            command = [sys.executable, "-c", python]
        else:
            command = ["bash", "-euo", "pipefail", "-c", block.text]
        done = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        allowed = {"0"}
        if block.directive.startswith("exit:"):
            allowed = set(block.directive.removeprefix("exit:").split())
        assert str(done.returncode) in allowed, (
            f"line {block.line}:\n{done.stdout[-4000:]}{done.stderr[-4000:]}"
        )
