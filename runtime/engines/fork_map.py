"""Map a function over items in forked processes, with the results of one process, in order."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import Any, TypeVar

from pocketdet.errors import EngineError

T = TypeVar("T")
R = TypeVar("R")

# of a worker: its function, and the thread that calls it, since a fork has no threads of OpenMP (`base`)
_function: Callable[[Any], Any]
_thread: ThreadPoolExecutor


def map_in_forks(function: Callable[[T], R], items: Sequence[T], workers: int) -> Iterator[R]:
    """Apply a function to items, in this process or in several.

    Args:
        function: Called in the workers, which are forks of this process, so it need not be picklable. It must
            give the same result in each process.
        items: What it is called with; picklable.
        workers: Number of processes; with 1 this process does the work.

    Yields:
        The results in the order of the items.

    Raises:
        EngineError: If a worker is killed.
        Exception: What the function raises for the first item that fails.
    """
    if workers == 1 or len(items) < 2:
        yield from map(function, items)
        return
    pool = ProcessPoolExecutor(min(workers, len(items)), get_context("fork"), _begin, (function,))
    try:
        yield from pool.map(_call, items)
    except BrokenProcessPool:
        raise EngineError(
            f"one of {workers} worker processes was killed, perhaps because memory ran out; "
            "use fewer --workers"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _begin(function: Callable[[Any], Any]) -> None:
    global _function, _thread
    _function, _thread = function, ThreadPoolExecutor(1, thread_name_prefix="pocketdet")


def _call(item: Any) -> Any:
    return _thread.submit(_function, item).result()
