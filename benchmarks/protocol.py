"""Measure a bundle on a device, always in the same way; docs/guides/benchmark.md explains why.

One stream, one thread, one core that is requested and read back. The golden test runs on the device before
anything is timed; a bundle that fails it is not timed.
"""

import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol, TypeVar

from pocketdet import __version__
from pocketdet.benchmarks import record
from pocketdet.benchmarks.images import StagedImage
from pocketdet.benchmarks.layers import layer_names
from pocketdet.benchmarks.plan import LAYER_FRAMES, LAYER_SECONDS, SWEEP_FRAMES, SWEEP_SECONDS, BenchPlan
from pocketdet.benchmarks.record import (
    BundleInfo,
    Device,
    Engine,
    Golden,
    LayerRun,
    Measurement,
    Record,
    Run,
    Source,
    SweepPoint,
)
from pocketdet.benchmarks.record_io import complete
from pocketdet.benchmarks.targets import Session, documents
from pocketdet.benchmarks.verdict import is_worth_repeating
from pocketdet.errors import EngineError, UsageError
from pocketdet.runtime.bundle import Bundle
from pocketdet.runtime.ncnn_graph import count_macs, infer_shapes, read_graph

_Found = TypeVar("_Found", Run, LayerRun)
_ROOT = Path(__file__).resolve().parents[1]
_OVERHEAD_S = 600.0  # beyond the requested time: loading, warm-up, emulation


class Progress(Protocol):
    """Receives the steps of a measurement, and ticks while they run."""

    def step(self, label: str, seconds: float) -> None:
        """Begin a step.

        Args:
            label: Name of the step.
            seconds: The time it may take; 0 if that is not known.
        """

    def tick(self) -> None:
        """Called about twice a second. An exception that it raises ends the measurement."""


def read_device(session: Session, name: str | None = None) -> Device:
    """Read what a device reports about itself.

    Args:
        session: Session on the device.
        name: Name of the device in tables; `None` for its own name.

    Raises:
        EngineError: If the device fails, or its answer cannot be parsed.
    """
    document, properties = session.ask("machine"), session.target.properties()
    with documents.parse_errors("document 'machine'", str(session)):
        return documents.device_from(document, properties, name)


def choose_cpu(device: Device, requested: int | None) -> int:
    """Choose the core to measure on.

    Args:
        device: The device.
        requested: Number of a core; `None` for the last of the fastest.

    Raises:
        UsageError: If the device has no such core.
    """
    if requested is None:
        return max(device.cores, key=lambda c: (c.most_khz or 0, c.capacity or 0, c.cpu)).cpu
    if requested not in {core.cpu for core in device.cores}:
        cores = ", ".join(str(core.cpu) for core in device.cores)
        raise UsageError(f"--cpu {requested}: {device.name} has the cores {cores}")
    return requested


def cool_down(seconds: float, progress: Progress, sleep: Callable[[float], None] = time.sleep) -> None:
    """Wait while the device cools down.

    Args:
        seconds: How long to wait.
        progress: Receives the step and its ticks.
        sleep: Waits for a number of seconds.
    """
    if seconds > 0:
        progress.step("cooling down", seconds)
    left = seconds
    while left > 0:
        sleep(min(left, 0.5))
        left -= 0.5
        progress.tick()


@dataclass(frozen=True)
class StagedBundle:
    """A bundle, and the paths of it and of the images on the device."""

    bundle: Bundle
    path: str
    images: tuple[StagedImage, ...]


@dataclass(frozen=True)
class Bench:
    """A device that is ready, and what to measure on it."""

    session: Session
    device: Device
    plan: BenchPlan
    progress: Progress

    def measure(self, staged: StagedBundle, cooled_down_s: float = 0.0) -> Record:
        """Run the golden test, the run, the sweep over RoIs, the layers and the sustained run, as planned.

        Args:
            staged: The bundle.
            cooled_down_s: Seconds that the device has cooled down, for the record.

        Raises:
            EngineError: If the device or the runner fails; no partial record is returned.
            UsageError: If the plan does not fit the bundle or the device.
        """
        plan = self.plan
        plan.check_bundle(staged.bundle)
        cpu = choose_cpu(self.device, plan.cpu)
        golden, engine = self._verify(staged)
        if plan.layers and engine.language == "Python":
            raise UsageError("--layers: layers are timed by pocketdet-run, which is not built: make native")
        run, sweep, layers, sustained, attempt = None, [], None, None, 1
        if golden.ok:
            run, attempt = self._run(staged, engine, cpu)
            for rois in plan.rois:
                limits = min(SWEEP_SECONDS, plan.seconds), min(SWEEP_FRAMES, plan.frames)
                point = self._time(staged, engine, cpu, f"{rois} RoIs", *limits, rois)
                sweep.append(SweepPoint(rois=rois, run=point))
            if plan.layers:
                layers = self._time_layers(staged, engine, cpu)
            if plan.sustained_min:
                sustained = self._time(staged, engine, cpu, "sustained", 60 * plan.sustained_min)
        target = self.session.target
        measurement = Measurement(
            schema_version=record.SCHEMA_VERSION,
            kind=record.KIND,
            created=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            source=read_source(),
            target=record.Target(kind=target.kind, address=target.address),
            device=self.device,
            engine=engine,
            bundle=bundle_info(staged.bundle),
            protocol=record.Protocol(
                quick=plan.quick,
                warm_up=plan.warm_up,
                frames=plan.frames,
                seconds=plan.seconds,
                cool_down_s=cooled_down_s,
                cpu=cpu,
                pictures=tuple(image.image for image in staged.images),
                attempt=attempt,
            ),
            golden=golden,
            run=run,
            roi_sweep=tuple(sweep),
            sustained=sustained,
            layers=layers,
        )
        return complete(measurement)

    def _verify(self, staged: StagedBundle) -> tuple[Golden, Engine]:
        self.progress.step("golden", 0.0)
        document = self.session.ask(
            "verify",
            staged.path,
            *self._common_args(staged.bundle),
            limit_s=_OVERHEAD_S,
            tick=self.progress.tick,
            may_fail=True,
        )
        with documents.parse_errors("document 'verify'", str(self.session)):
            return documents.golden_from(document), documents.engine_from(document)

    def _run(self, staged: StagedBundle, engine: Engine, cpu: int) -> tuple[Run, int]:
        """The run, and its number if INVALID ones were discarded and repeated."""
        plan, label, attempt = self.plan, "timing", 1
        while True:
            run = self._time(staged, engine, cpu, label, plan.seconds, plan.frames)
            kept = staged.bundle.manifest.max_rois
            if attempt > plan.retries or not is_worth_repeating(run, cpu, self.device, kept):
                return run, attempt
            cool_down(plan.cool_down_s, self.progress)
            label = f"INVALID, retry {attempt} of {plan.retries}"
            attempt += 1

    def _time(
        self,
        staged: StagedBundle,
        engine: Engine,
        cpu: int,
        label: str,
        seconds: float,
        frames: int | None = None,
        rois: int | None = None,
    ) -> Run:
        options = [] if rois is None else ["--rois", str(rois)]
        return self._bench(staged, engine, cpu, label, seconds, frames, options, documents.run_from)

    def _time_layers(self, staged: StagedBundle, engine: Engine, cpu: int) -> LayerRun:
        seconds, frames = min(LAYER_SECONDS, self.plan.seconds), min(LAYER_FRAMES, max(self.plan.frames, 2))

        def read(document: documents.Document) -> LayerRun:
            return documents.layers_from(document, layer_names(staged.bundle))

        return self._bench(staged, engine, cpu, "layers", seconds, frames, ["--layers"], read)

    def _bench(
        self,
        staged: StagedBundle,
        engine: Engine,
        cpu: int,
        label: str,
        seconds: float,
        frames: int | None,
        options: Sequence[str],
        read: Callable[[documents.Document], _Found],
    ) -> _Found:
        """Let the runner time the bundle, check that it timed what was requested, and read its answer."""
        self.progress.step(label, seconds)
        limits = ["--warmup", str(self.plan.warm_up), "--seconds", f"{seconds:g}", "--cpu", str(cpu)]
        limits += ["--frames", str(frames)] if frames is not None else []
        document = self.session.ask(
            "bench",
            staged.path,
            *(image.path for image in staged.images),
            *self._common_args(staged.bundle),
            *limits,
            *options,
            limit_s=_OVERHEAD_S + seconds,
            tick=self.progress.tick,
        )
        where = str(self.session)
        with documents.parse_errors("document 'bench'", where):
            same = document["bundle"]["digest"] == staged.bundle.digest
            if not same or documents.engine_from(document) != engine:
                raise EngineError(
                    f"{where}: the runner changed its bundle or its arithmetic between two runs"
                )
            if documents.images_from(document) != tuple(image.image for image in staged.images):
                raise EngineError(f"{where}: the runner measured on other images than it was given")
            return read(document)

    def _common_args(self, bundle: Bundle) -> tuple[str, ...]:
        args = ["--digest", bundle.digest]
        if len(bundle.sizes) > 1:
            args += ["--size", str(bundle.manifest.input)]
        plan = self.plan
        if plan.engine == "torch":
            args += ["--engine", "torch", "--device", plan.processor, "--precision", "fp32"]
        elif plan.precision is not None:
            args += ["--precision", plan.precision]
        return tuple(args)


def read_source(root: Path = _ROOT) -> Source:
    """Read the version of pocketdet, and its commit if it runs from a git tree.

    Returns:
        Version, commit, and whether files were changed since.
    """
    commit, changed = None, None
    if _git(root, "rev-parse", "--show-toplevel") == str(root):
        commit = _git(root, "rev-parse", "HEAD")
        changed = bool(_git(root, "status", "--porcelain", "--untracked-files=no")) if commit else None
    return Source(version=__version__, commit=commit, changed=changed)


def bundle_info(bundle: Bundle) -> BundleInfo:
    """Describe a bundle for a record. MACs are counted on its ncnn graphs, padding included."""
    m = bundle.manifest
    macs = 0
    for spec in m.graphs.by_name().values():
        graph = read_graph(bundle.path(spec.param))
        shapes = infer_shapes(graph, spec.input_shapes(m.max_rois))
        macs += sum(cost.macs or 0 for cost in count_macs(graph, shapes))
    return BundleInfo(
        name=m.name,
        architecture=m.architecture,
        digest=bundle.digest,
        input=(m.input.height, m.input.width),
        classes=len(m.class_names),
        rois=m.max_rois,
        macs=macs,
        weight_storage=m.layout.weight_storage,
        lanes=m.layout.lanes,
        layout_target=m.layout.target,
    )


def _git(root: Path, *args: str) -> str | None:
    program = shutil.which("git")
    if program is None:
        return None
    done = subprocess.run([program, "-C", str(root), *args], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None
