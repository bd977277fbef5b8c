"""Engines in forked processes.

A fork copies only the calling thread. libgomp, which the ncnn wheel uses, would wait forever for the pool
threads recorded in that thread's memory; a new thread in the child gets a new pool.
"""

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, ParamSpec, TypeVar

# the process that imported this module; in any other process, the main thread is the forked one
_FIRST = os.getpid()

P = ParamSpec("P")
T = TypeVar("T")


class PerProcess(Generic[T]):
    """A value that each forked process creates anew on first use.

    The parent's value stays referenced in the child, because releasing it could wait for threads that do not
    exist.

    Args:
        make: creates the value; called immediately in this process.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._made = {os.getpid(): make()}

    def get(self) -> T:
        """Return the value of this process. Raises what `make` raises."""
        process = os.getpid()
        if process not in self._made:  # two threads may both create one; either is valid
            self._made[process] = self._make()
        return self._made[process]


class ForkSafeThreads:
    """Runs calls of a multi-threaded library on a thread that can start the library's threads."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._workers: dict[int, ThreadPoolExecutor] = {}

    def __call__(self, step: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return the result of `step`, run on this thread, or on a new one if this one came from a fork."""
        process = os.getpid()
        if (
            self._threads == 1
            or process == _FIRST
            or threading.current_thread() is not threading.main_thread()
        ):
            return step(*args, **kwargs)
        if process not in self._workers:
            self._workers[process] = ThreadPoolExecutor(1, thread_name_prefix="pocketdet")
        return self._workers[process].submit(step, *args, **kwargs).result()
