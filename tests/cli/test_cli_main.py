"""The command line as a user meets it: help, typos, errors, exit codes, Ctrl-C."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import PATIENCE

COMMANDS = (
    "export",
    "describe",
    "align",
    "verify",
    "detect",
    "info",
    "doctor",
    "demo",
    "train",
    "val",
    "bench",
    "bench-engines",
    "report",
)


def run(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from pocketdet.cli.main import main; main()", *arguments]
    environment = {**os.environ, "COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"}
    return subprocess.run(
        command, capture_output=True, text=True, cwd=cwd, env=environment, timeout=PATIENCE, check=False
    )


def test_help_lists_every_command() -> None:
    result = run("--help")
    assert result.returncode == 0
    assert all(f" {name} " in result.stdout for name in COMMANDS)
    assert "Exit codes: 0 success, 1 a check failed, 2 invalid" in result.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_every_help_has_an_example(command: str) -> None:
    result = run(command, "--help")
    assert result.returncode == 0
    assert f"Example: pocketdet {command} " in result.stdout


def test_help_imports_nothing_heavy() -> None:
    heavy = ("torch", "cv2", "ncnn", "numpy", "onnxruntime", "onnx")
    code = (
        "import sys, pocketdet.cli.main as m\n"
        "try: m.app(['detect', '--help'])\n"
        "except SystemExit: pass\n"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    assert result.stdout.strip().splitlines()[-1] == "[]"


def test_help_loads_the_command_line_alone() -> None:
    """Help is quick because of what it leaves alone: our other packages, and all libraries but two."""
    code = (
        "import sys\n"
        "before = set(sys.modules)\n"
        "import pocketdet.cli.main as m\n"
        "try: m.app(['--help'])\n"
        "except SystemExit: pass\n"
        "print(*sorted(set(sys.modules) - before))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    loaded = result.stdout.splitlines()[-1].split()
    ours = {name for name in loaded if name.split(".")[0] == "pocketdet"}
    others = {name.split(".")[0] for name in loaded} - {"pocketdet"} - sys.stdlib_module_names
    leaves = {"pocketdet", "pocketdet.cli", "pocketdet.errors", "pocketdet.io"}
    assert {name for name in ours - leaves if not name.startswith("pocketdet.cli.")} == set()
    # rich's own are markdown_it, mdurl and pygments; typer's annotated_doc, click and shellingham
    assert others <= {
        "annotated_doc",
        "click",
        "markdown_it",
        "mdurl",
        "pygments",
        "rich",
        "shellingham",
        "typer",
        "typing_extensions",
    }


@pytest.mark.parametrize(("typo", "meant"), [("exprot", "export"), ("detct", "detect"), ("docter", "doctor")])
def test_typos_get_a_suggestion(typo: str, meant: str) -> None:
    result = run(typo)
    assert result.returncode == 2
    assert f"Did you mean '{meant}'?" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("detect",),
        ("detect", "bundle", "image", "--engine", "tflite"),
        ("detect", "bundle", "image", "--threads", "many"),
        ("info", "--colour"),
    ],
)
def test_usage_errors(arguments: tuple[str, ...]) -> None:
    result = run(*arguments)
    assert result.returncode == 2
    assert "Traceback" not in result.stderr


def test_the_package_runs_as_a_module(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "pocketdet", "info", "absent.pocketdet"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    ending = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert (ending.returncode, ending.stdout) == (2, "")
    assert ending.stderr == "error: absent.pocketdet: no such bundle; expected a folder or a zip file\n"


def test_an_error_is_one_sentence_on_stderr(tmp_path: Path) -> None:
    result = run("detect", "absent.pocketdet", "photo.jpg", cwd=tmp_path)
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr == "error: absent.pocketdet: no such bundle; expected a folder or a zip file\n"


def test_bad_input_is_refused_before_torch_is_imported(tmp_path: Path) -> None:
    commands = [
        "export absent.safetensors",
        "export absent.onnx",
        "export absent:make",
        "export thundernet-snet49-fod --names absent.txt",
        "export thundernet-snet49-fod --input-size big",
        "export thundernet-snet49-fod --max-ap-drop 1",
        "describe absent.onnx",
        "align absent.param absent.bin a.param a.bin",
        "verify absent.pocketdet",
        "verify damaged.pocketdet",
        "detect absent.pocketdet photo.jpg",
        "info absent.pocketdet",
        "info absent.onnx",
        "bench-engines absent.pocketdet",
        "train --init absent",
        "train absent.toml",
        "val thundernet-snet49-fod",
        "val absent.pocketdet --data test.json --images .",
        "bench absent.pocketdet",
        "predict absent.pocketdet --device nothing",
        "predict --device nothing",
        "cycles absent.pocketdet",
        "report absent.json",
    ]
    (tmp_path / "damaged.pocketdet").mkdir()
    (tmp_path / "test.json").write_text('{"images": [], "annotations": [], "categories": []}')
    code = (
        "import sys, pocketdet.cli.main as m\n"
        "for words in sys.argv[1:]:\n"
        "    sys.argv = ['pocketdet', *words.split()]\n"
        "    try: m.main()\n"
        "    except SystemExit as ending: print('torch' in sys.modules, ending.code, words)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, *commands],
        capture_output=True, text=True, cwd=tmp_path, timeout=PATIENCE, check=True,
    )  # fmt: skip
    assert result.stdout.splitlines() == [f"False 2 {words}" for words in commands]


def test_an_unexpected_exception_shows_its_traceback() -> None:
    code = (
        "import pocketdet.cli.main as m\n"
        "def broken() -> None: raise ZeroDivisionError('a bug')\n"
        "m.app.command()(broken)\n"
        "m.sys.argv = ['pocketdet', 'broken']\n"
        "m.main()"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert result.returncode == 1
    assert "Traceback" in result.stderr
    assert "ZeroDivisionError: a bug" in result.stderr


def test_ctrl_c_is_a_sentence() -> None:
    code = (
        "import pocketdet.cli.main as m, time\n"
        "def wait() -> None:\n"
        "    print('ready', flush=True)\n"
        "    time.sleep(600)\n"
        "m.app.command()(wait)\n"
        "m.sys.argv = ['pocketdet', 'wait']\n"
        "m.main()"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    child.send_signal(signal.SIGINT)
    _, errors = child.communicate(timeout=PATIENCE)
    assert child.returncode == 130
    assert errors.strip() == "error: interrupted"


def test_version() -> None:
    result = run("--version")
    assert result.returncode == 0
    assert result.stdout.startswith("pocketdet 0.")
