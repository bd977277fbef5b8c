"""A process that is killed just before it changes a folder for the n-th time."""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

CHANGES = frozenset(
    {"os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.link", "os.truncate", "shutil.rmtree"}
)
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
TIME_LIMIT_S = 60


def run_killed(number: int, folder: Path, work: Callable[[], None]) -> bool:
    """Run `work` in a forked process that gets SIGKILL before its change `number` of `folder`, from 1.

    Returns whether it was killed; false if it came to its end with fewer changes. Fails if `work` raised.
    """
    child = os.fork()
    if child == 0:
        _run_child(number, folder, work)
    _, status = os.waitpid(child, 0)
    killed = os.WIFSIGNALED(status)
    assert killed or os.WEXITSTATUS(status) == 0, "the work failed"
    assert not killed or os.WTERMSIG(status) == signal.SIGKILL, "the work took too long"
    return killed


def _run_child(number: int, folder: Path, work: Callable[[], None]) -> None:
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(TIME_LIMIT_S)
    seen = 0

    def before(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal seen
        if _changes(folder, event, arguments):
            seen += 1
            if seen == number:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(before)
    try:
        work()
    except BaseException as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        os._exit(1)
    os._exit(0)


def _changes(folder: Path, event: str, arguments: tuple[Any, ...]) -> bool:
    if event == "ctypes.dlsym":  # renameat2 is looked up for each call
        return bool(arguments[1] == "renameat2")
    if event == "open":
        path, _, flags = arguments
        return bool(flags & WRITING) and str(folder) in str(path)
    return event in CHANGES and any(str(folder) in str(argument) for argument in arguments)
