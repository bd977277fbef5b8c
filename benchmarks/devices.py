"""Measure bundles on devices: all devices at once, the bundles one by one, a record file for each."""

import re
import shutil
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from pocketdet.benchmarks.images import StagedImage, stage_images
from pocketdet.benchmarks.plan import BenchPlan
from pocketdet.benchmarks.protocol import Bench, Progress, StagedBundle, cool_down, read_device
from pocketdet.benchmarks.record import Record
from pocketdet.benchmarks.record_io import write_record
from pocketdet.benchmarks.targets import PYTHON_RUNNER, Session, open_session, open_target
from pocketdet.errors import BundleError, PocketdetError, UsageError
from pocketdet.runtime.bundle import Bundle, hash_file
from pocketdet.runtime.bundle.archive import ArchiveSource
from pocketdet.runtime.bundle.files import FolderSource, read_limited
from pocketdet.runtime.bundle.manifest import MAX_MANIFEST_BYTES
from pocketdet.runtime.bundle.schema import MANIFEST_NAME


@dataclass(frozen=True)
class BenchRequest:
    """What to measure on every device.

    Attributes:
        bundles: The bundles, in the order of measurement.
        plan: What is measured of each bundle.
        out: Folder for the records.
        runner: Program to use instead of the one that was built for the device.
    """

    bundles: tuple[Bundle, ...]
    plan: BenchPlan
    out: Path
    runner: Path | None = None


@dataclass(frozen=True)
class BenchResults:
    """The records with their files, and one sentence for each device that failed."""

    records: tuple[tuple[Path, Record], ...]
    problems: tuple[str, ...]


def run_devices(
    targets: Sequence[str], request: BenchRequest, scratch: Path, progress: Callable[[str], Progress]
) -> BenchResults:
    """Measure on all targets at once; targets on this machine run one by one before the others.

    A device that fails keeps the records it has written, and does not stop the others.

    Args:
        targets: Targets as `parse_targets` returns them.
        request: What to measure.
        scratch: An empty folder for copies of the bundles and the images.
        progress: Makes the progress of a target.

    Returns:
        Records and problems, in the order of the targets.

    Raises:
        ImageError: If an image cannot be read.
        UsageError: If two images have the same name.
    """
    staged = [stage_bundle(bundle, scratch) for bundle in request.bundles]
    images = stage_images(request.plan.images, scratch)
    done: dict[str, list[tuple[Path, Record]]] = {target: [] for target in targets}
    problems = []
    here = [target for target in targets if target.partition(":")[0] in ("local", "emulated")]
    away = [target for target in targets if target not in here]
    for group in [*([target] for target in here), *([away] if away else [])]:
        stop = threading.Event()
        with ThreadPoolExecutor(len(group)) as pool:
            jobs = []
            try:
                for target in group:
                    watched = _StoppableProgress(progress(target), stop)
                    job = pool.submit(_run_device, target, request, staged, images, watched, done[target])
                    jobs.append(job)
                wait(jobs)
            finally:
                stop.set()  # the pool waits for its workers, whatever ended the wait
        for job in jobs:
            try:
                job.result()
            except PocketdetError as error:
                problems.append(str(error))
    return BenchResults(tuple(record for target in targets for record in done[target]), tuple(problems))


def record_name(record: Record) -> str:
    """Name the file of a record after device, bundle, precision or other engine, and time."""
    engine = record.engine
    how = record.arithmetic if engine.name == "ncnn" else f"{engine.name} {engine.processor}"
    parts = (record.device.name, record.bundle.name, how)
    names = [re.sub(r"[^a-z0-9]+", "-", part.lower()).strip("-")[:60] or "unnamed" for part in parts]
    names.append(re.sub(r"[^0-9TZ]", "", record.created))
    if record.target.kind in ("adb", "ssh"):
        names.insert(1, re.sub(r"[^A-Za-z0-9]+", "-", record.target.address)[-24:])
    return "_".join(names) + ".json"


def stage_bundle(bundle: Bundle, folder: Path) -> Path:
    """Copy a bundle byte for byte into a folder, so that it can be copied to a device.

    Args:
        bundle: A verified bundle.
        folder: Where to make the folder `bundle-DIGEST.pocketdet`.

    Returns:
        Path of the new folder.

    Raises:
        BundleError: If the manifest has changed since the bundle was loaded.
    """
    staged = folder / f"bundle-{bundle.digest[:12]}.pocketdet"
    staged.mkdir(parents=True)
    for name in bundle.manifest.files:
        copy = staged / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(bundle.path(name), copy)
    source = FolderSource(bundle.source) if bundle.source.is_dir() else ArchiveSource(bundle.source)
    try:
        data = read_limited(source, MANIFEST_NAME, MAX_MANIFEST_BYTES, str(bundle.source))
    finally:
        source.close()
    (staged / MANIFEST_NAME).write_bytes(data)
    if hash_file(staged / MANIFEST_NAME).sha256 != bundle.digest:
        raise BundleError(f"{bundle.source}: its manifest changed while it was read")
    return staged


def _run_device(
    target: str,
    request: BenchRequest,
    staged: Sequence[Path],
    images: Sequence[StagedImage],
    progress: Progress,
    done: list[tuple[Path, Record]],
) -> None:
    progress.step("connecting", 0.0)
    session = _open(target, request, progress)
    try:
        plan = request.plan.for_target(session.target.kind)
        device = read_device(session, plan.device_name)
        there = [session.target.put(Path(image.path), progress.tick) for image in images]
        frames = tuple(StagedImage(path, image.image) for path, image in zip(there, images, strict=True))
        for i, (bundle, folder) in enumerate(zip(request.bundles, staged, strict=True)):
            progress.step("copying", 0.0)
            copy = StagedBundle(bundle, session.target.put(folder, progress.tick), frames)
            pause = plan.cool_down_s if i else 0.0
            cool_down(pause, progress)
            record = Bench(session, device, plan, progress).measure(copy, pause)
            path = request.out / record_name(record)
            write_record(path, record)
            done.append((path, record))
    finally:
        session.close()


def _open(target: str, request: BenchRequest, progress: Progress) -> Session:
    engine = request.plan.engine
    if engine == "ncnn":
        return open_session(open_target(target), request.runner, progress.tick)
    if target != "local":
        raise UsageError(f"--target {target}: --engine {engine} is measured on this machine only")
    return Session(open_target(target), PYTHON_RUNNER)


class _StoppableProgress:
    """A progress whose tick ends the work once `stop` is set."""

    def __init__(self, progress: Progress, stop: threading.Event) -> None:
        self._progress = progress
        self._stop = stop

    def step(self, label: str, seconds: float) -> None:
        self.tick()
        self._progress.step(label, seconds)

    def tick(self) -> None:
        if self._stop.is_set():
            raise KeyboardInterrupt
        self._progress.tick()
