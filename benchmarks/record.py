"""The record of one benchmark: one bundle on one device, with everything that was measured. Version 1.

A record is strict: every field is typed, unknown fields are refused, and what is derived (`summary`,
`verdict`) must follow from what was measured. Times of frames are milliseconds, one row a frame, one column a
stage; times within a run are seconds since its first frame.
"""

from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints

from pocketdet.benchmarks.record_run import Count, Cpu, Part, Positive, Run, Text, Time
from pocketdet.runtime.precision import Arithmetic, Storage

SCHEMA_VERSION: Final = 1
KIND: Final = "bench"

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
TargetKind = Literal["local", "ssh", "adb", "emulated"]
EngineName = Literal["ncnn", "torch"]
Cause = Literal["golden", "emulated", "affinity", "moved", "throttled", "drift", "background", "short"]


class Source(Part):
    """The program that made the record; `commit` and `changed` if it runs from a git tree."""

    version: Text
    commit: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$")] | None
    changed: bool | None


class Target(Part):
    """How the device was reached: `address` is the host, the adb serial or the emulated processor."""

    kind: TargetKind
    address: Text


class Core(Part):
    """One processor of the device; what the system does not tell is `None`."""

    cpu: Cpu
    least_khz: Count | None = None
    most_khz: Count | None = None
    capacity: Count | None = None
    midr: Text | None = None


class Device(Part):
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


class Engine(Part):
    """What ran the networks, and on which processor: "CPU", or a GPU's name.

    `runner` is the program: in C++ (pocketdet-run) or in Python. `flags` are those of the build.
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


class BundleInfo(Part):
    """The bundle: `digest` is the SHA-256 of its manifest. `input` is (height, width).

    `macs` are those of all networks with as many RoIs as the manifest keeps, `rois`; 0 for a one-stage
    detector, which has none.
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


class Picture(Part):
    """A frame that was detected on, in pixels."""

    name: Text
    width: Positive
    height: Positive


class Protocol(Part):
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


class GoldenCheck(Part):
    """One stage against PyTorch; `max_abs` is `None` where the difference is not a number."""

    name: Text
    max_abs: Annotated[float, Field(ge=0)] | None
    tolerance: Annotated[float, Field(ge=0)]
    ok: bool
    note: str


class Golden(Part):
    """The golden picture replayed on the device before anything was timed."""

    checks: Annotated[tuple[GoldenCheck, ...], Field(min_length=1, max_length=100)]

    @property
    def ok(self) -> bool:
        """Whether every stage agrees with PyTorch."""
        return all(check.ok for check in self.checks)


class SweepPoint(Part):
    """The run with `rois` proposals kept, all else equal."""

    rois: Positive
    run: Run


class Measurement(Part):
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

    @property
    def arithmetic(self) -> str:
        """What most of the networks was computed in."""
        return "int8" if self.bundle.weight_storage == "int8" else self.engine.precision_observed


class Reason(Part):
    """Why a record cannot stand for the device's speed."""

    cause: Cause
    sentence: Text


class Verdict(Part):
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


class Statistics(Part):
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
