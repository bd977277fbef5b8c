"""The interface of inference engines, and engines in forked processes.

A fork copies only the calling thread. libgomp, which the ncnn wheel uses, would wait forever for the pool
threads recorded in that thread's memory; a new thread in the child gets a new pool.
"""

import os
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, Literal, ParamSpec, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from pocketdet.runtime.precision import Arithmetic

Array = NDArray[np.float32]
GraphName = Literal["features", "head", "model"]


class Engine(Protocol):
    """Runs the graphs of a bundle. Thread-safe."""

    @property
    def precision(self) -> Arithmetic:
        """The arithmetic in use on this machine, the narrowest of all graphs."""
        ...

    def run(self, graph: GraphName, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Run one graph.

        Args:
            graph: name of the graph.
            inputs: float32 arrays by role, without a batch axis.

        Returns:
            float32 outputs by role, without a batch axis.

        Raises:
            EngineError: if an input has a wrong type or shape, or the engine fails.
        """
        ...


def check_inputs(
    graph: str, expected: Mapping[str, tuple[int | None, ...]], inputs: Mapping[str, Array]
) -> str | None:
    """Describe the first input that is missing or has a wrong type or shape; `None` if there is none."""
    for role, shape in expected.items():
        value = inputs.get(role)
        if value is None:
            return f"graph {graph!r} needs an input {role!r}"
        if value.dtype != np.float32:
            return f"input {role!r} of graph {graph!r}: expected float32, found {value.dtype}"
        fits = len(shape) == value.ndim and all(
            s is None or s == n for s, n in zip(shape, value.shape, strict=True)
        )
        if not fits:
            return f"input {role!r} of graph {graph!r}: expected shape {shape}, found {value.shape}"
    return None


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
