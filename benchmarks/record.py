"""The record of one benchmark: one bundle on one device, with everything that was measured. Schema version 3.

A record is strict: every field is typed, unknown fields are refused, and what is derived (`summary`,
`verdict`) must follow from what was measured. Times of frames are in milliseconds, one row per frame, one
column per stage; times within a run are in seconds since its first frame. `None` is what the system does not
report. Files and derived fields: `record_io`; the rules of the verdict: `verdict`.
"""

from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from pocketdet.runtime.precision import Arithmetic, Storage

SCHEMA_VERSION: Final = 3
RULES: Final = 2  # schema version whose rules a new verdict follows
KIND: Final = "bench"
MOST_IMAGES: Final = 1000
PROVED: Final = "results proved, no time"

Text = Annotated[str, StringConstraints(min_length=1, max_length=2000)]
Count = Annotated[int, Field(ge=0, le=2**62)]
Positive = Annotated[int, Field(ge=1, le=2**62)]
Time = Annotated[float, Field(ge=0, le=1e9)]
Cpu = Annotated[int, Field(ge=0, le=4095)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
TargetKind = Literal["local", "ssh", "adb", "emulated"]
EngineName = Literal["ncnn", "torch"]
Rules = Literal[1, 2]
Cause = Literal[
    "golden", "emulated", "affinity", "moved", "throttled", "drift", "background", "short", "rois"
]


class StrictModel(BaseModel):
    """Base of all parts of a record: strict, frozen, without unknown fields or infinities."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class CoreClock(StrictModel):
    """One core's clock, the limit set for it, and its governor."""

    cpu: Cpu
    khz: Count | None = None
    limit_khz: Count | None = None
    governor: Text | None = None


class Zone(StrictModel):
    """One thermal zone."""

    zone: Text
    type: Text | None = None
    celsius: float | None = None


class Supply(StrictModel):
    """A battery or charger; `capacity` is percent, `celsius` its temperature."""

    supply: Text
    type: Text | None = None
    status: Text | None = None
    capacity: Count | None = None
    celsius: float | None = None
    online: Count | None = None


class Throttling(StrictModel):
    """What Android says of throttling to the app: its status, and its headroom.

    A headroom of 1 is where severe throttling begins (PowerManager.getThermalHeadroom).
    """

    status: Literal["none", "light", "moderate", "severe", "critical", "emergency", "shutdown"] | None = None
    headroom: float | None = None


class CpuTime(StrictModel):
    """What one core has done since it started, in ticks of the system."""

    cpu: Cpu
    user: Count
    nice: Count
    system: Count
    idle: Count
    iowait: Count
    irq: Count
    softirq: Count
    steal: Count


class Usage(StrictModel):
    """What the measuring process has used so far. `preempted`: how often another process took its core."""

    user_s: Time
    system_s: Time
    page_faults: Count
    waited: Count
    preempted: Count
    most_memory_kib: Count


class Snapshot(StrictModel):
    """The state of the device at one moment.

    `load` is the runnable tasks of the last minute; `throttling` is known in the Android app alone.
    """

    clocks: tuple[CoreClock, ...]
    thermal: tuple[Zone, ...]
    power: tuple[Supply, ...]
    load: Annotated[float, Field(ge=0)] | None
    cpu_times: tuple[CpuTime, ...]
    usage: Usage
    throttling: Throttling | None = None


class ClockReading(StrictModel):
    """The clock of the core in use, between two frames."""

    at_s: Time
    cpu: Cpu
    khz: Positive | None


class Run(StrictModel):
    """Frames one after the other in one process.

    `milliseconds` has one row per frame and one column per stage; `started_s`, `cpu_before`, `cpu_after`,
    `proposals` and `detections` have one entry per frame. `affinity` and `affinity_after` are the cores that
    the process was allowed on, as read back. A one-stage detector has 0 proposals.

    `load_ms` is from the files of the bundle to a detector that is ready: they are hashed and checked, and
    ncnn prepares the weights. `first_frame_ms` is the first frame of the process, during warm-up if there is
    one. Both are `None` in records of schema versions 1 and 2.
    """

    stages: Annotated[tuple[Text, ...], Field(min_length=1, max_length=32)]
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
    load_ms: Time | None = None
    first_frame_ms: Time | None = None

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
        """Number of frames that were measured."""
        return len(self.milliseconds)


class Source(StrictModel):
    """The program that wrote the record; `commit` and `changed` if it runs from a git tree."""

    version: Text
    commit: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$")] | None
    changed: bool | None


class Target(StrictModel):
    """How the device was reached: `address` is the host, the adb serial number or the emulated processor."""

    kind: TargetKind
    address: Text


class Core(StrictModel):
    """One core of the device."""

    cpu: Cpu
    least_khz: Count | None = None
    most_khz: Count | None = None
    capacity: Count | None = None
    midr: Text | None = None


class Device(StrictModel):
    """The device as it describes itself. `soc` is the chip, `name` the name of the device in tables."""

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


class Engine(StrictModel):
    """The engine that ran the networks.

    `processor` is "CPU" or the name of a GPU. `runner` is the program, in C++ (pocketdet-run) or in Python.
    `flags` are those of the engine's build.
    """

    runner: Text
    language: Literal["C++", "Python"]
    name: EngineName
    version: Text
    flags: str
    processor: Text
    cpu_features: tuple[Text, ...]
    threads: Positive
    precision_requested: Arithmetic
    precision_observed: Arithmetic


class BundleInfo(StrictModel):
    """The bundle that was measured.

    `digest` is the SHA-256 of its manifest, `input` is (height, width) in pixels. `rois` is the number of
    RoIs that the manifest keeps, 0 for a one-stage detector. `macs` are the multiply-accumulates of all
    networks with that many RoIs.
    """

    name: Text
    architecture: Text
    digest: Sha256
    input: tuple[Positive, Positive]
    classes: Positive
    rois: Count
    macs: Positive
    weight_storage: Storage
    lanes: Positive
    layout_target: Text | None


class Image(StrictModel):
    """An image that was detected on.

    Its size is in pixels. `sha256` is that of its pixels, RGB, row by row; `None` in records of schema
    version 1.
    """

    name: Text
    width: Positive
    height: Positive
    sha256: Sha256 | None = None


class Protocol(StrictModel):
    """What was requested. A run ends after `frames` or `seconds`, whichever comes first.

    `cool_down_s` is the pause before this bundle, `cpu` the requested core, `pictures` the images. `attempt`
    is 2 or more if INVALID runs before this one were discarded.
    """

    quick: bool
    warm_up: Count
    frames: Positive
    seconds: Time
    cool_down_s: Time
    cpu: Cpu
    pictures: Annotated[tuple[Image, ...], Field(min_length=1, max_length=MOST_IMAGES)]
    attempt: Positive = 1


class GoldenCheck(StrictModel):
    """One stage compared with PyTorch; `max_abs` is `None` if the difference is not a number."""

    name: Text
    max_abs: Annotated[float, Field(ge=0)] | None
    tolerance: Annotated[float, Field(ge=0)]
    ok: bool
    note: str
    proved: bool = True


class Golden(StrictModel):
    """The golden test on the device, before anything is timed."""

    checks: Annotated[tuple[GoldenCheck, ...], Field(min_length=1, max_length=1000)]

    @property
    def ok(self) -> bool:
        """Whether every stage agrees with PyTorch."""
        return all(check.ok for check in self.checks)


class SweepPoint(StrictModel):
    """A run with `rois` proposals kept, everything else unchanged."""

    rois: Positive
    run: Run


class LayerTime(StrictModel):
    """One layer of a network: the median over the timed frames, 0 if it did not run.

    `stage` is the stage that runs the network. `name` and `type` are ncnn's; `module` is the PyTorch module
    whose values the layer's first output has, "" if that is not known. The conversions of type and layout
    that ncnn makes before a layer are part of its time, those of an output part of the layer before.
    """

    stage: Text
    name: Text
    type: Text
    module: str
    milliseconds: Time


class LayerRun(StrictModel):
    """A run with the times of layers.

    The frames come in pairs on the same image: in one of the two, `timed`, a clock is read after each layer.
    What that costs is the difference between the two. `layers` are those of all networks in the order of
    their files.
    """

    run: Run
    timed: tuple[bool, ...]
    layers: Annotated[tuple[LayerTime, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _frames_of_both_kinds(self) -> Self:
        if len(self.timed) != self.run.frames:
            raise ValueError(f"timed has {len(self.timed)} entries for {self.run.frames} frames")
        if len(set(self.timed)) < 2:
            raise ValueError("expected frames with and without the clock of layers")
        return self


class Measurement(StrictModel):
    """Everything that was requested and measured. `run` is `None` if the golden test failed."""

    schema_version: Literal[3]
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
    layers: LayerRun | None = None

    @property
    def arithmetic(self) -> str:
        """The arithmetic of most of the networks."""
        return "int8" if self.bundle.weight_storage == "int8" else self.engine.precision_observed

    @property
    def emulated(self) -> bool:
        """Whether its times mean nothing because the processor is emulated."""
        return self.target.kind == "emulated" or self.device.emulated


class Reason(StrictModel):
    """Why a record does not represent the speed of the device."""

    cause: Cause
    sentence: Text


class Verdict(StrictModel):
    """VALID without reasons; without a time if the only one is an emulator; otherwise INVALID.

    `quick`: the run is shorter than the protocol requires. `rules`: the schema version whose rules it
    follows; a record keeps the verdict of the version that it was written under. Version 3 has those of 2.
    """

    reasons: tuple[Reason, ...]
    quick: bool
    rules: Rules = 1

    @property
    def valid(self) -> bool:
        """Whether frames per second may be reported."""
        return not self.reasons

    @property
    def proved(self) -> bool:
        """Whether the golden test passed on an emulator, which has no time to report."""
        return {reason.cause for reason in self.reasons} == {"emulated"}

    @property
    def label(self) -> str:
        """VALID, INVALID, or for an emulator what it proves."""
        return "VALID" if self.valid else PROVED if self.proved else "INVALID"

    def __str__(self) -> str:
        quick = " (quick)" if self.quick and not self.proved else ""
        why = "" if self.valid or self.proved else ": " + "; ".join(r.sentence for r in self.reasons)
        return f"{self.label}{quick}{why}"


class Statistics(StrictModel):
    """Milliseconds from the image to the boxes. `trimmed_mean` excludes a tenth at either end.

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
    """A measurement with its summary and its verdict, which follow from it."""

    summary: Statistics | None
    verdict: Verdict
