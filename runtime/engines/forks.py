"""Engines in a process that was forked: what the parent's libraries keep in threads and locks is gone there.

A fork copies one thread. libgomp, which the ncnn wheel uses, still finds its pool of threads in that thread's
memory and waits for them for ever; a thread that is new to the child gets a pool of its own.
"""

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, ParamSpec, TypeVar

# the process that imported this; in any other, the main thread is the one that called fork
_FIRST = os.getpid()

P = ParamSpec("P")
T = TypeVar("T")


class PerProcess(Generic[T]):
    """What `make` returns, made at once, and anew by the first call in each process that is forked later.

    What the parent made stays referenced: to release it could wait for threads that do not exist.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._made = {os.getpid(): make()}

    def get(self) -> T:
        """The value of this process. Raises what `make` raises."""
        process = os.getpid()
        if process not in self._made:  # two threads may both make one; either serves
            self._made[process] = self._make()
        return self._made[process]


class ForkSafeThreads:
    """Runs calls into a library with threads of its own where its threads can be started."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._workers: dict[int, ThreadPoolExecutor] = {}

    def __call__(self, step: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What `step` returns, from this thread, or from a new one if this one came through a fork."""
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
