"""A detector in a process that multiprocessing starts, by fork or spawn, after its parent has used one."""

import multiprocessing
import os
import threading
from collections.abc import Callable
from multiprocessing.context import ForkContext, SpawnContext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pocketdet.errors import BundleError
from pocketdet.runtime.detections import Detections
from pocketdet.runtime.detector import Detector
from pocketdet.runtime.options import DetectorOptions

IMAGE = np.random.default_rng(3).integers(0, 256, (70, 90, 3), np.uint8)
PATIENCE = 120  # seconds, for a child that hangs

PlainDetections = tuple[NDArray[Any], NDArray[Any], NDArray[Any]]


def values(found: Detections) -> PlainDetections:
    return found.boxes, found.scores, found.labels


def options(threads: int) -> DetectorOptions:
    return DetectorOptions("ncnn", threads=threads, score_threshold=0.02)


def detect_in_child(context: ForkContext | SpawnContext, work: Callable[..., Any], *arguments: Any) -> Any:
    """What `work` returns in a process of `context`."""
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=send_result, args=(sender, work, arguments))
    child.start()
    sender.close()
    try:
        assert receiver.poll(PATIENCE), "the child hangs"
        return receiver.recv()
    finally:
        child.kill()
        child.join()


def send_result(sender: Any, work: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    sender.send(work(*arguments))


def make_and_detect(bundle: Path, threads: int) -> PlainDetections:
    with Detector(bundle, options(threads)) as detector:
        return values(detector.detect(IMAGE))


def in_a_thread_of_its_own(work: Callable[[], PlainDetections]) -> PlainDetections:
    found: list[PlainDetections] = []
    thread = threading.Thread(target=lambda: found.append(work()))
    thread.start()
    thread.join()
    return found[0]


def in_a_grandchild(work: Callable[[], PlainDetections]) -> PlainDetections:
    work()
    found: PlainDetections = detect_in_child(multiprocessing.get_context("fork"), work)
    return found


@pytest.fixture
def libgomp_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """The number of threads is the detector's choice, whatever the environment of the tests says."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)


@pytest.mark.usefixtures("libgomp_threads")
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("around", [lambda work: work(), in_a_thread_of_its_own, in_a_grandchild])
def test_a_forked_process_detects_as_its_parent(
    small_bundle: Path, threads: int, around: Callable[[Callable[[], PlainDetections]], PlainDetections]
) -> None:
    with Detector(small_bundle, options(threads)) as detector:
        expected = values(detector.detect(IMAGE))
        assert len(expected[1]) > 0

        def work() -> PlainDetections:
            return around(lambda: values(detector.detect(IMAGE)))

        for _ in range(2):
            found = detect_in_child(multiprocessing.get_context("fork"), work)
            for one, other in zip(found, expected, strict=True):
                np.testing.assert_array_equal(one, other)
        np.testing.assert_array_equal(detector.detect(IMAGE).boxes, expected[0])


@pytest.mark.usefixtures("libgomp_threads")
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_detector_that_a_child_makes(small_bundle: Path, threads: int, method: str) -> None:
    expected = make_and_detect(small_bundle, threads)
    found = detect_in_child(multiprocessing.get_context(method), make_and_detect, small_bundle, threads)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("threads", [1, 2])
def test_onnxruntime_in_a_forked_process(small_bundle: Path, threads: int) -> None:
    chosen = DetectorOptions(engine="onnxruntime", threads=threads, score_threshold=0.02)
    with Detector(small_bundle, chosen) as detector:
        expected = values(detector.detect(IMAGE))
        found = detect_in_child(multiprocessing.get_context("fork"), lambda: values(detector.detect(IMAGE)))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_networks_are_loaded_once_in_each_process(tmp_path: Path) -> None:
    from pocketdet.runtime.engines.base import PerProcess

    def make() -> int:
        with (tmp_path / "made").open("a") as stream:
            stream.write(f"{os.getpid()}\n")
        return os.getpid()

    value = PerProcess(make)
    assert value.get() == value.get() == os.getpid()
    process = detect_in_child(multiprocessing.get_context("fork"), lambda: (value.get(), value.get())[0])
    assert process != os.getpid()
    assert (tmp_path / "made").read_text().split() == [str(os.getpid()), str(process)]


def test_a_child_after_the_parent_closed_is_one_sentence(small_bundle: Path) -> None:
    detector = Detector(small_bundle, options(1))
    detector.bundle.close()

    def work() -> str:
        with pytest.raises(BundleError) as caught:
            detector.detect(IMAGE)
        return str(caught.value)

    assert "the bundle is closed; load it again" in detect_in_child(multiprocessing.get_context("fork"), work)
