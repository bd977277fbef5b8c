"""Standard output on a full disk: exit code 2 and one sentence, from each program."""

import os
import subprocess
from pathlib import Path

import needs
import pytest
from command_line import START

BUILT = Path(__file__).parents[2] / "build" / "native-host" / "pocketdet-run"


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("words", ["--version", "--help", "doctor --json", "predict --list"])
def test_pocketdet(words: str, unbuffered: str) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*START, *words.split()],
            stdout=full,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
            check=False,
        )
    assert done.returncode == 2
    assert done.stderr.decode() == "error: standard output: cannot be written: No space left on device\n"


def test_a_pipe_that_nobody_reads_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([*START, "predict", "--list"], stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert done.stderr == b""


@pytest.mark.parametrize("words", ["--version", "--help", "bench --help", "machine"])
def test_pocketdet_run(words: str) -> None:
    program = Path(os.environ.get("POCKETDET_RUN") or BUILT)
    if not program.exists():
        pytest.skip(needs.NATIVE)
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [program, *words.split()], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 2
    assert done.stderr == "pocketdet-run: the output cannot be written; is the disk full?\n"
