"""A function over items in several processes gives what one process gives."""

import os
import signal
import threading
from collections.abc import Iterator

import numpy as np
import pytest

from pocketdet.errors import EngineError, ImageError
from pocketdet.runtime.engines.fork_map import map_in_forks


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_results_are_in_the_order_of_the_items(workers: int) -> None:
    offset = np.arange(3)  # a closure, which cannot be pickled
    found = list(map_in_forks(lambda item: (item + offset).tolist(), range(7), workers))
    assert found == [[i, i + 1, i + 2] for i in range(7)]


def test_the_work_is_done_in_other_processes_on_a_thread_that_is_no_fork() -> None:
    def where(_: int) -> tuple[int, bool]:
        return os.getpid(), threading.current_thread() is threading.main_thread()

    found = list(map_in_forks(where, range(8), 2))
    assert os.getpid() not in {process for process, _ in found}
    assert not any(is_main for _, is_main in found)
    assert list(map_in_forks(where, range(8), 1)) == [(os.getpid(), True)] * 8


def test_the_error_of_the_first_item_that_fails_is_raised() -> None:
    def fail(item: int) -> int:
        if item >= 3:
            raise ImageError(f"image {item} has no pixels")
        return item

    results: Iterator[int] = map_in_forks(fail, range(6), 2)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ImageError, match="image 3 has no pixels"):
        next(results)


def test_a_killed_worker_is_an_error_and_not_a_wait() -> None:
    def die(item: int) -> int:
        if item == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return item

    with pytest.raises(EngineError, match="one of 2 worker processes was killed"):
        list(map_in_forks(die, range(6), 2))
