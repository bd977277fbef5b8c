"""The record of one benchmark: one bundle on one device, with everything that was measured. Version 1.

A record is strict: every field is typed, unknown fields are refused, and what is derived (`summary`,
`verdict`) must follow from what was measured. Times of frames are milliseconds, one row a frame, one column a
stage; times within a run are seconds since its first frame.
"""

from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

SCHEMA_VERSION: Final = 1
KIND: Final = "bench"

Text = Annotated[str, StringConstraints(min_length=1, max_length=2000)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0, le=2**62)]
Positive = Annotated[int, Field(ge=1, le=2**62)]
Time = Annotated[float, Field(ge=0, le=1e9)]
Cpu = Annotated[int, Field(ge=0, le=4095)]
Stages = Annotated[tuple[Text, ...], Field(min_length=1, max_length=32)]
TargetKind = Literal["local", "ssh", "adb", "emulated"]
Arithmetic = Literal["fp32", "fp16"]
Cause = Literal["golden", "emulated", "affinity", "moved", "throttled", "drift", "background", "short"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Source(_Part):
    """The program that made the record; `commit` and `changed` if it runs from a git tree."""

    version: Text
    commit: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$")] | None
    changed: bool | None


class Target(_Part):
    """How the device was reached: `address` is the host, the adb serial or the emulated processor."""

    kind: TargetKind
    address: Text


class Core(_Part):
    """One processor of the device; what the system does not tell is `None`."""

    cpu: Cpu
    least_khz: Count | None = None
    most_khz: Count | None = None
    capacity: Count | None = None
    midr: Text | None = None


class Device(_Part):
    """The device as it describes itself. `soc` is the chip; `name` is what tables call the device."""

    name: Text
    soc: Text | None
    system: Text
    release: Text
    architecture: Text
    emulated: bool
    memory_bytes: Count
    cpu_features: tuple[Text, ...]
    cores: Annotated[tuple[Core, ...], Field(min_length=1, max_length=4096)]
    properties: dict[Text, str]


class Engine(_Part):
    """What ran the networks. `runner` is the program: in C++ (pocketdet-run) or in Python."""

    runner: Text
    language: Literal["C++", "Python"]
    ncnn: Text
    flags: str
    cpu_features: tuple[Text, ...]
    threads: Positive
    precision_requested: Arithmetic
    precision_observed: Arithmetic


class BundleInfo(_Part):
    """The bundle: `digest` is the SHA-256 of its manifest. `input` is (height, width).

    `macs` are those of both networks with as many RoIs as the manifest keeps, `rois`.
    """

    name: Text
    architecture: Text
    digest: Sha256
    input: tuple[Positive, Positive]
    classes: Positive
    rois: Positive
    macs: Positive
    weight_storage: Literal["fp32", "fp16", "int8"]
    lanes: Positive
    layout_target: Text | None


class Picture(_Part):
    """A frame that was detected on, in pixels."""

    name: Text
    width: Positive
    height: Positive


class Protocol(_Part):
    """What was asked for. A run ends after `frames` or `seconds`, whichever comes first.

    `cool_down_s` is the pause before this bundle. `cpu` is the core asked for.
    """

    quick: bool
    warm_up: Count
    frames: Positive
    seconds: Time
    cool_down_s: Time
    cpu: Cpu
    pictures: Annotated[tuple[Picture, ...], Field(min_length=1, max_length=1000)]


class GoldenCheck(_Part):
    """One stage against PyTorch; `max_abs` is `None` where the difference is not a number."""

    name: Text
    max_abs: Annotated[float, Field(ge=0)] | None
    tolerance: Annotated[float, Field(ge=0)]
    ok: bool
    note: str


class Golden(_Part):
    """The golden picture replayed on the device before anything was timed."""

    checks: Annotated[tuple[GoldenCheck, ...], Field(min_length=1, max_length=100)]

    @property
    def ok(self) -> bool:
        """Whether every stage agrees with PyTorch."""
        return all(check.ok for check in self.checks)


class CoreClock(_Part):
    """One core's clock, the limit set for it, and its governor."""

    cpu: Cpu
    khz: Count | None = None
    limit_khz: Count | None = None
    governor: Text | None = None


class Zone(_Part):
    """One thermal zone."""

    zone: Text
    type: Text | None = None
    celsius: float | None = None


class Supply(_Part):
    """A battery or charger; `capacity` is percent, `celsius` its temperature."""

    supply: Text
    type: Text | None = None
    status: Text | None = None
    capacity: Count | None = None
    celsius: float | None = None
    online: Count | None = None


class CpuTime(_Part):
    """What one core did since it started, in ticks of the system."""

    cpu: Cpu
    user: Count
    nice: Count
    system: Count
    idle: Count
    iowait: Count
    irq: Count
    softirq: Count
    steal: Count


class Usage(_Part):
    """What the measuring process used so far. `preempted` counts the times that others took its core."""

    user_s: Time
    system_s: Time
    page_faults: Count
    waited: Count
    preempted: Count
    most_memory_kib: Count


class Snapshot(_Part):
    """The state of the device at one moment. `load` is runnable tasks of the last minute."""

    clocks: tuple[CoreClock, ...]
    thermal: tuple[Zone, ...]
    power: tuple[Supply, ...]
    load: Annotated[float, Field(ge=0)] | None
    cpu_times: tuple[CpuTime, ...]
    usage: Usage


class ClockReading(_Part):
    """The clock of the core in use between two frames; `khz` is `None` where the system does not tell."""

    at_s: Time
    cpu: Cpu
    khz: Positive | None


class Run(_Part):
    """Frames one after the other in one process. Tuples have one entry a frame unless they say otherwise.

    `affinity` and `affinity_after`: the cores that the process was allowed on, as read back. `proposals` and
    `detections`: what was found in each frame.
    """

    stages: Stages
    milliseconds: Annotated[tuple[tuple[Time, ...], ...], Field(min_length=1)]
    started_s: tuple[Time, ...]
    cpu_before: tuple[int, ...]
    cpu_after: tuple[int, ...]
    proposals: tuple[Count, ...]
    detections: tuple[Count, ...]
    affinity: tuple[Cpu, ...]
    affinity_after: tuple[Cpu, ...]
    measured_s: Time
    clocks: tuple[ClockReading, ...]
    before: Snapshot
    after: Snapshot

    @model_validator(mode="after")
    def _frames_agree(self) -> Self:
        frames = len(self.milliseconds)
        for name in ("started_s", "cpu_before", "cpu_after", "proposals", "detections"):
            if len(getattr(self, name)) != frames:
                raise ValueError(f"{name} has {len(getattr(self, name))} entries for {frames} frames")
        if any(len(row) != len(self.stages) for row in self.milliseconds):
            raise ValueError(f"a frame does not have one time for each of {len(self.stages)} stages")
        if min(sum(row) for row in self.milliseconds) <= 0:
            raise ValueError("a frame took no time at all")
        return self

    @property
    def frames(self) -> int:
        """How many frames were measured."""
        return len(self.milliseconds)


class SweepPoint(_Part):
    """The run with `rois` proposals kept, all else equal."""

    rois: Positive
    run: Run


class Measurement(_Part):
    """Everything that was asked and measured. Without `run`, golden failed and nothing was timed."""

    schema_version: Literal[1]
    kind: Literal["bench"]
    created: Annotated[str, StringConstraints(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")]
    source: Source
    target: Target
    device: Device
    engine: Engine
    bundle: BundleInfo
    protocol: Protocol
    golden: Golden
    run: Run | None
    roi_sweep: tuple[SweepPoint, ...]
    sustained: Run | None


class Reason(_Part):
    """Why a record cannot stand for the device's speed."""

    cause: Cause
    sentence: Text


class Verdict(_Part):
    """VALID without reasons, else INVALID. `quick`: shorter than the protocol asks, which is not hidden."""

    reasons: tuple[Reason, ...]
    quick: bool

    @property
    def valid(self) -> bool:
        """Whether frames per second may be told."""
        return not self.reasons

    def __str__(self) -> str:
        quick = " (quick)" if self.quick else ""
        why = ": " + "; ".join(reason.sentence for reason in self.reasons) if self.reasons else ""
        return f"{'VALID' if self.valid else 'INVALID'}{quick}{why}"


class Statistics(_Part):
    """Milliseconds from the image to the boxes. `trimmed_mean` leaves out a tenth at either end.

    `fps` is 1000 / median, `fps_p90` 1000 / p90; both are `None` unless the verdict is VALID.
    """

    median: Time
    p90: Time
    p99: Time
    mean: Time
    trimmed_mean: Time
    fps: Time | None
    fps_p90: Time | None


class Record(Measurement):
    """A measurement, what it says in a few numbers, and whether it may be believed."""

    summary: Statistics | None
    verdict: Verdict
