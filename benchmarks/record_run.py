"""One run in a record: every frame, and the state of the device around them.

Times of frames are milliseconds, one row a frame, one column a stage; times within a run are seconds since
its first frame.
"""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

Text = Annotated[str, StringConstraints(min_length=1, max_length=2000)]
Count = Annotated[int, Field(ge=0, le=2**62)]
Positive = Annotated[int, Field(ge=1, le=2**62)]
Time = Annotated[float, Field(ge=0, le=1e9)]
Cpu = Annotated[int, Field(ge=0, le=4095)]


class Part(BaseModel):
    """What all parts of a record are: strict, frozen, without unknown fields or infinities."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class CoreClock(Part):
    """One core's clock, the limit set for it, and its governor."""

    cpu: Cpu
    khz: Count | None = None
    limit_khz: Count | None = None
    governor: Text | None = None


class Zone(Part):
    """One thermal zone."""

    zone: Text
    type: Text | None = None
    celsius: float | None = None


class Supply(Part):
    """A battery or charger; `capacity` is percent, `celsius` its temperature."""

    supply: Text
    type: Text | None = None
    status: Text | None = None
    capacity: Count | None = None
    celsius: float | None = None
    online: Count | None = None


class CpuTime(Part):
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


class Usage(Part):
    """What the measuring process used so far. `preempted` counts the times that others took its core."""

    user_s: Time
    system_s: Time
    page_faults: Count
    waited: Count
    preempted: Count
    most_memory_kib: Count


class Snapshot(Part):
    """The state of the device at one moment. `load` is runnable tasks of the last minute."""

    clocks: tuple[CoreClock, ...]
    thermal: tuple[Zone, ...]
    power: tuple[Supply, ...]
    load: Annotated[float, Field(ge=0)] | None
    cpu_times: tuple[CpuTime, ...]
    usage: Usage


class ClockReading(Part):
    """The clock of the core in use between two frames; `khz` is `None` where the system does not tell."""

    at_s: Time
    cpu: Cpu
    khz: Positive | None


class Run(Part):
    """Frames one after the other in one process. Tuples have one entry a frame unless they say otherwise.

    `affinity` and `affinity_after`: the cores that the process was allowed on, as read back. `proposals` and
    `detections`: what was found in each frame; a one-stage detector has no proposals.
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
