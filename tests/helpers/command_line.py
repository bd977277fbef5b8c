"""The command line as a user starts it: in this process for speed, or as a process of its own."""

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest

PATIENCE = 600.0  # seconds after which a process counts as hung, however busy or slow the machine is
START = (sys.executable, "-c", "from pocketdet.cli.main import main; main()")


@dataclass(frozen=True)
class Ending:
    """How a command ended."""

    code: int
    out: str
    err: str


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ending]:
    """Run `pocketdet ARGUMENTS...` through `main`, error sentences and exit codes included."""
    from pocketdet.cli.main import main

    def run(*arguments: object) -> Ending:
        monkeypatch.setenv("COLUMNS", "200")
        monkeypatch.setattr(sys, "argv", ["pocketdet", *map(str, arguments)])
        with pytest.raises(SystemExit) as ending:
            main()
        out, err = capsys.readouterr()
        code = ending.value.code
        return Ending(code if isinstance(code, int) else int(code is not None), out, err)

    return run


def wait_until(done: Callable[[], bool], alive: Callable[[], object] = lambda: None) -> None:
    """Return when `done` says so; `alive` may raise meanwhile, if there is nothing left to wait for."""
    end = time.monotonic() + PATIENCE
    while not done():
        alive()
        assert time.monotonic() < end, "hung"
        time.sleep(0.05)


def process(*arguments: object, **options: object) -> "subprocess.Popen[str]":
    """`pocketdet ARGUMENTS...` as a process, its output in pipes."""
    return subprocess.Popen(  # type: ignore[call-overload,no-any-return]
        [*START, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )
