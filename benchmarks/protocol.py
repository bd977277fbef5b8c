"""How a bundle is measured on a device, always in the same way. docs/guides/benchmark.md says why.

One stream, one thread, one core that is asked for and read back. Golden is replayed on the device before
anything is timed; a bundle that fails it is not timed.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from pocketdet.benchmarks import record, record_parts
from pocketdet.benchmarks.record import (
    Device,
    Engine,
    EngineName,
    Golden,
    Measurement,
    Picture,
    Record,
    SweepPoint,
    TargetKind,
)
from pocketdet.benchmarks.record_io import complete
from pocketdet.benchmarks.record_run import Run
from pocketdet.benchmarks.record_source import bundle_info, read_source
from pocketdet.benchmarks.targets import Session
from pocketdet.benchmarks.verdict import LEAST_FRAMES, LEAST_SECONDS
from pocketdet.errors import EngineError, UsageError
from pocketdet.runtime.bundle import Bundle
from pocketdet.runtime.precision import Arithmetic

SWEEP_FRAMES = 200
SWEEP_SECONDS = 10.0
_PATIENCE_S = 600.0  # beyond what was asked for: loading, warm-up, emulation


@dataclass(frozen=True)
class Plan:
    """What is measured. Raises `UsageError` for values that make no sense.

    A run ends after `frames` or `seconds`, whichever comes first. `cpu`: the core, by default the fastest.
    `precision`: arithmetic asked of ncnn, by default what each bundle was made for.
    `cool_down_s`: the pause between two bundles. `rois`: numbers of proposals to sweep over.
    `sustained_min`: how long to go on for the curve over time. `processor`: where torch runs, in its words.
    """

    quick: bool = False
    frames: int = LEAST_FRAMES
    seconds: float = LEAST_SECONDS
    warm_up: int = 20
    cool_down_s: float = 30.0
    cpu: int | None = None
    precision: Arithmetic | None = None
    rois: tuple[int, ...] = ()
    sustained_min: float = 0.0
    engine: EngineName = "ncnn"
    processor: str = "cpu"
    device_name: str | None = None
    pictures: tuple[Path, ...] = field(default=())

    def __post_init__(self) -> None:
        if self.frames < 1 or self.seconds <= 0 or self.warm_up < 0 or self.cool_down_s < 0:
            raise UsageError(
                f"{self.frames} frames or {self.seconds} s after {self.warm_up} frames to warm up and "
                f"{self.cool_down_s} s of rest: expected at least one frame and no negative number"
            )
        if not 0 <= self.sustained_min <= 24 * 60:
            raise UsageError(f"--sustained {self.sustained_min:g}: expected minutes from 0 to 1440")
        if any(not 1 <= n <= 10_000 for n in self.rois) or len(set(self.rois)) < len(self.rois):
            raise UsageError(
                f"--rois {','.join(map(str, self.rois))}: expected different numbers from 1 to 10000"
            )

        if self.engine == "ncnn" and self.processor != "cpu":
            raise UsageError(f"--device {self.processor}: ncnn runs on the CPU; use --engine torch")
        if self.engine == "torch" and self.precision not in (None, "fp32"):
            raise UsageError(f"--precision {self.precision}: --engine torch is measured in fp32")


QUICK = Plan(quick=True, frames=100, seconds=10.0, warm_up=5, cool_down_s=0.0)


def plan_for(kind: TargetKind, plan: Plan) -> Plan:
    """The plan as it is, or a few frames of it where time means nothing."""
    if kind != "emulated":
        return plan
    return replace(
        plan, quick=True, frames=min(3, plan.frames), warm_up=0, cool_down_s=0.0, sustained_min=0.0
    )


class Progress(Protocol):
    """Told what goes on: a step that may take `seconds`, and a tick now and then while it runs."""

    def step(self, words: str, seconds: float) -> None:
        """A step begins."""

    def tick(self) -> None:
        """It goes on. What this raises ends the measurement."""


def check_sweep(bundle: Bundle, plan: Plan) -> None:
    """Raise `UsageError` if the plan sweeps over proposals and the bundle's detector has none."""
    if plan.rois and not bundle.manifest.max_rois:
        raise UsageError(
            f"--rois {','.join(map(str, plan.rois))}: {bundle.source} is a one-stage detector, which has no "
            "proposals to sweep over; measure it without --rois"
        )


def read_device(session: Session, name: str | None = None) -> Device:
    """The device behind a session. Raises `EngineError`."""
    document, properties = session.ask("machine"), session.target.properties()
    with record_parts.understood("document 'machine'", str(session)):
        return record_parts.device_from(document, properties, name)


def choose_cpu(device: Device, asked: int | None) -> int:
    """The core to measure on: the one asked for, or the last of the fastest.

    Raises `UsageError` if the device has no such core.
    """
    if asked is None:
        return max(device.cores, key=lambda c: (c.most_khz or 0, c.capacity or 0, c.cpu)).cpu
    if asked not in {core.cpu for core in device.cores}:
        cores = ", ".join(str(core.cpu) for core in device.cores)
        raise UsageError(f"--cpu {asked}: {device.name} has the cores {cores}")
    return asked


def rest(seconds: float, progress: Progress, sleep: Callable[[float], None] = time.sleep) -> None:
    """Let the device cool down."""
    if seconds > 0:
        progress.step("cooling down", seconds)
    left = seconds
    while left > 0:
        sleep(min(left, 0.5))
        left -= 0.5
        progress.tick()


@dataclass(frozen=True)
class Subject:
    """A bundle, and the words that name it and the frames on the device."""

    bundle: Bundle
    staged: str
    pictures: tuple[str, ...] = ()


@dataclass(frozen=True)
class Bench:
    """A device that is ready, and what to measure on it."""

    session: Session
    device: Device
    plan: Plan
    progress: Progress

    def measure(self, subject: Subject, rested_s: float = 0.0) -> Record:
        """Golden, the run, the sweep over RoIs and the sustained run of one bundle, as far as planned.

        `rested_s` is the pause there was before. Raises `EngineError` if the device or the runner fails:
        nothing is half measured; `UsageError` as `check_sweep`.
        """
        plan = self.plan
        check_sweep(subject.bundle, plan)
        cpu = choose_cpu(self.device, plan.cpu)
        golden, engine = self._replay(subject)
        run, sweep, sustained = None, [], None
        pictures: tuple[Picture, ...] = (_golden_picture(subject.bundle),)
        if golden.ok:
            pictures, run = self._time(subject, engine, cpu, "timing", plan.seconds, plan.frames)
            for rois in plan.rois:
                limits = min(SWEEP_SECONDS, plan.seconds), min(SWEEP_FRAMES, plan.frames)
                _, point = self._time(subject, engine, cpu, f"{rois} RoIs", *limits, rois)
                sweep.append(SweepPoint(rois=rois, run=point))
            if plan.sustained_min:
                _, sustained = self._time(subject, engine, cpu, "sustained", 60 * plan.sustained_min)
        target = self.session.target
        measurement = Measurement(
            schema_version=record.SCHEMA_VERSION,
            kind=record.KIND,
            created=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            source=read_source(),
            target=record.Target(kind=target.kind, address=target.address),
            device=self.device,
            engine=engine,
            bundle=bundle_info(subject.bundle),
            protocol=record.Protocol(
                quick=plan.quick,
                warm_up=plan.warm_up,
                frames=plan.frames,
                seconds=plan.seconds,
                cool_down_s=rested_s,
                cpu=cpu,
                pictures=pictures,
            ),
            golden=golden,
            run=run,
            roi_sweep=tuple(sweep),
            sustained=sustained,
        )
        return complete(measurement)

    def _replay(self, subject: Subject) -> tuple[Golden, Engine]:
        self.progress.step("golden", 0.0)
        document = self.session.ask(
            "verify",
            subject.staged,
            *self._common(subject),
            limit_s=_PATIENCE_S,
            tick=self.progress.tick,
            may_fail=True,
        )
        with record_parts.understood("document 'verify'", str(self.session)):
            return record_parts.golden_from(document), record_parts.engine_from(document)

    def _time(
        self,
        subject: Subject,
        engine: Engine,
        cpu: int,
        words: str,
        seconds: float,
        frames: int | None = None,
        rois: int | None = None,
    ) -> tuple[tuple[Picture, ...], Run]:
        self.progress.step(words, seconds)
        limits = ["--warmup", str(self.plan.warm_up), "--seconds", f"{seconds:g}", "--cpu", str(cpu)]
        limits += ["--frames", str(frames)] if frames is not None else []
        limits += ["--rois", str(rois)] if rois is not None else []
        document = self.session.ask(
            "bench",
            subject.staged,
            *subject.pictures,
            *self._common(subject),
            *limits,
            limit_s=_PATIENCE_S + seconds,
            tick=self.progress.tick,
        )
        where = str(self.session)
        with record_parts.understood("document 'bench'", where):
            same = document["bundle"]["digest"] == subject.bundle.digest
            if not same or record_parts.engine_from(document) != engine:
                raise EngineError(
                    f"{where}: the runner changed its bundle or its arithmetic between two runs"
                )
            return record_parts.pictures_from(document), record_parts.run_from(document)

    def _common(self, subject: Subject) -> tuple[str, ...]:
        words = ["--digest", subject.bundle.digest]
        plan = self.plan
        if plan.engine == "torch":
            words += ["--engine", "torch", "--device", plan.processor, "--precision", "fp32"]
        elif plan.precision is not None:
            words += ["--precision", plan.precision]
        return tuple(words)


def _golden_picture(bundle: Bundle) -> Picture:
    height, width = bundle.golden()["image"].shape[:2]
    return Picture(name="golden", width=width, height=height)
