"""Bundles on devices: all devices at once, on each one bundle after the other, a record file each."""

import re
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from pocketdet.benchmarks.protocol import Bench, Plan, Progress, Subject, plan_for, read_device, rest
from pocketdet.benchmarks.record import Record
from pocketdet.benchmarks.record_io import write_record
from pocketdet.benchmarks.targets import Session, open_session, open_target
from pocketdet.benchmarks.targets.session import IN_PYTHON
from pocketdet.benchmarks.targets.staging import stage_bundle, stage_picture
from pocketdet.errors import PocketdetError, UsageError
from pocketdet.runtime.bundle import Bundle


@dataclass(frozen=True)
class Order:
    """What to measure everywhere. `runner`: the program to use instead of the one that was built."""

    bundles: tuple[Bundle, ...]
    plan: Plan
    out: Path
    runner: Path | None = None


@dataclass(frozen=True)
class Results:
    """Records with their files, and one sentence for each device that failed."""

    records: tuple[tuple[Path, Record], ...]
    problems: tuple[str, ...]


def run_devices(
    targets: Sequence[str], order: Order, scratch: Path, progress: Callable[[str], Progress]
) -> Results:
    """Measure on all targets, words that `parse_targets` gave; `scratch` is an empty folder.

    Devices run at once; runs on this machine come one by one before them. A device that fails keeps the
    records it has given, and does not stop the others. Raises `ImageError` for a bad picture.
    """
    staged = [stage_bundle(bundle, scratch) for bundle in order.bundles]
    pictures = [stage_picture(path, scratch) for path in order.plan.pictures]
    done: dict[str, list[tuple[Path, Record]]] = {word: [] for word in targets}
    problems = []
    here = [word for word in targets if word.partition(":")[0] in ("local", "emulated")]
    away = [word for word in targets if word not in here]
    for group in [*([word] for word in here), *([away] if away else [])]:
        stop = threading.Event()
        with ThreadPoolExecutor(len(group)) as pool:
            jobs = []
            try:
                for word in group:
                    watched = _Stoppable(progress(word), stop)
                    jobs.append(pool.submit(_run_device, word, order, staged, pictures, watched, done[word]))
                wait(jobs)
            finally:
                stop.set()  # the pool waits for its workers, whatever ended the wait
        for job in jobs:
            try:
                job.result()
            except PocketdetError as error:
                problems.append(str(error))
    return Results(tuple(record for word in targets for record in done[word]), tuple(problems))


def record_name(record: Record) -> str:
    """A file name that tells device, bundle, precision or other engine, and time apart."""
    engine = record.engine
    how = record.arithmetic if engine.name == "ncnn" else f"{engine.name} {engine.processor}"
    parts = (record.device.name, record.bundle.name, how)
    names = [re.sub(r"[^a-z0-9]+", "-", part.lower()).strip("-")[:60] or "unnamed" for part in parts]
    names.append(re.sub(r"[^0-9TZ]", "", record.created))
    if record.target.kind in ("adb", "ssh"):
        names.insert(1, re.sub(r"[^A-Za-z0-9]+", "-", record.target.address)[-24:])
    return "_".join(names) + ".json"


def _run_device(
    word: str,
    order: Order,
    staged: Sequence[Path],
    pictures: Sequence[Path],
    progress: Progress,
    done: list[tuple[Path, Record]],
) -> None:
    progress.step("connecting", 0.0)
    session = _open(word, order, progress)
    try:
        plan = plan_for(session.target.kind, order.plan)
        device = read_device(session, plan.device_name)
        frames = tuple(session.target.put(path, progress.tick) for path in pictures)
        for i, (bundle, folder) in enumerate(zip(order.bundles, staged, strict=True)):
            progress.step("copying", 0.0)
            subject = Subject(bundle, session.target.put(folder, progress.tick), frames)
            rested = plan.cool_down_s if i else 0.0
            rest(rested, progress)
            record = Bench(session, device, plan, progress).measure(subject, rested)
            path = order.out / record_name(record)
            write_record(path, record)
            done.append((path, record))
    finally:
        session.close()


def _open(word: str, order: Order, progress: Progress) -> Session:
    if order.plan.engine == "ncnn":
        return open_session(open_target(word), order.runner, progress.tick)
    if word != "local":
        raise UsageError(f"--target {word}: --engine {order.plan.engine} is measured on this machine only")
    return Session(open_target(word), IN_PYTHON)


class _Stoppable:
    """A progress whose tick ends the work once `stop` is set."""

    def __init__(self, progress: Progress, stop: threading.Event) -> None:
        self._progress = progress
        self._stop = stop

    def step(self, words: str, seconds: float) -> None:
        self.tick()
        self._progress.step(words, seconds)

    def tick(self) -> None:
        if self._stop.is_set():
            raise KeyboardInterrupt
        self._progress.tick()
