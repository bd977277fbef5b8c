"""What is measured and for how long: interleaved in one process, or by `pocketdet bench` on a device.

A plan is validated when it is made, so that a measurement never starts with settings that make no sense.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from pocketdet.benchmarks.record import MOST_IMAGES, EngineName, TargetKind
from pocketdet.errors import UsageError
from pocketdet.runtime.bundle import Bundle
from pocketdet.runtime.precision import Arithmetic

LEAST_FRAMES: Final = 1024  # of a run that is not quick, unless it takes
LEAST_SECONDS: Final = 60.0
SWEEP_FRAMES: Final = 200
SWEEP_SECONDS: Final = 10.0
LAYER_FRAMES: Final = 400
LAYER_SECONDS: Final = 20.0


@dataclass(frozen=True)
class InterleavedPlan:
    """The length of an interleaved measurement: `warm_up` frames, then `rounds` bursts of `burst` frames.

    Attributes:
        rounds: How many times each function runs a burst.
        burst: Frames of a burst.
        refill: Frames at the start of a burst that are not counted, because they refill the caches.
        warm_up: Frames of each function before the first round.
        seed: Seed of the order within each round.

    Raises:
        UsageError: If no frame would be counted, or a number is negative.
    """

    rounds: int = 25
    burst: int = 8
    refill: int = 2
    warm_up: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        if self.rounds < 1:
            raise UsageError(f"{self.rounds} rounds: expected 1 or more")
        if self.warm_up < 0 or self.refill < 0 or self.burst <= self.refill:
            raise UsageError(
                f"bursts of {self.burst} frames, {self.refill} of them not counted, after {self.warm_up} to "
                "warm up: expected at least one that counts and no negative number"
            )

    @property
    def frames(self) -> int:
        """Frames of one function that are counted."""
        return self.rounds * (self.burst - self.refill)


@dataclass(frozen=True)
class BenchPlan:
    """What `pocketdet bench` measures on every device.

    Attributes:
        quick: Whether the run is shorter than the protocol requires; the record says so.
        frames: Frames after which a run ends.
        seconds: Seconds after which a run ends, if that is earlier.
        warm_up: Frames before each run that are not counted.
        cool_down_s: Pause between two bundles, in seconds.
        cpu: Core to pin to; by default the last of the fastest.
        precision: Arithmetic requested of ncnn; by default what each bundle was made for.
        rois: Numbers of proposals of the sweep.
        sustained_min: Minutes of the sustained run; 0 for none.
        engine: Engine that runs the networks.
        processor: Device of the torch engine, as torch names it.
        device_name: Name of the device in tables; by default its own.
        images: Image files to detect on; by default the standard frames.
        layers: Whether every layer is timed, too, in a run of its own.
        retries: How many times a run is repeated while it is INVALID for a reason that may pass.

    Raises:
        UsageError: If a value is out of range, or two values contradict each other.
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
    images: tuple[Path, ...] = ()
    layers: bool = False
    retries: int = 0

    def __post_init__(self) -> None:
        if self.frames < 1 or self.seconds <= 0 or self.warm_up < 0 or self.cool_down_s < 0:
            raise UsageError(
                f"{self.frames} frames or {self.seconds} s after {self.warm_up} frames to warm up and "
                f"{self.cool_down_s} s of rest: expected at least one frame and no negative number"
            )
        if not 0 <= self.sustained_min <= 24 * 60:
            raise UsageError(f"--sustained {self.sustained_min:g}: expected minutes from 0 to 1440")
        if any(not 1 <= n <= 10_000 for n in self.rois) or len(set(self.rois)) < len(self.rois):
            raise UsageError(f"--rois {_joined(self.rois)}: expected different numbers from 1 to 10000")
        if not 0 <= self.retries <= 100:
            raise UsageError(f"--retry {self.retries}: expected a number from 0 to 100")
        if len(self.images) > MOST_IMAGES:
            raise UsageError(f"{len(self.images)} images: expected at most {MOST_IMAGES}")
        if self.engine == "ncnn" and self.processor != "cpu":
            raise UsageError(f"--device {self.processor}: ncnn runs on the CPU; use --engine torch")
        if self.engine == "torch" and self.precision not in (None, "fp32"):
            raise UsageError(f"--precision {self.precision}: --engine torch is measured in fp32")
        if self.engine == "torch" and self.layers:
            raise UsageError("--layers: the layers are those of ncnn; leave --engine torch out")

    def for_target(self, kind: TargetKind) -> "BenchPlan":
        """Return the plan for a kind of target: a few frames on an emulator, whose times mean nothing.

        Returns:
            This plan, or for an emulated target one of at most 3 frames without warm-up or pauses.
        """
        if kind != "emulated":
            return self
        frames = min(3, self.frames)
        few = replace(self, quick=True, frames=frames, warm_up=0, cool_down_s=0.0)
        return replace(few, sustained_min=0.0, retries=0, layers=False)

    def check_bundle(self, bundle: Bundle) -> None:
        """Check that a bundle can be measured by this plan.

        Raises:
            UsageError: If the plan sweeps over proposals and the bundle's detector has none.
        """
        if self.rois and not bundle.manifest.max_rois:
            raise UsageError(
                f"--rois {_joined(self.rois)}: {bundle.source} is a one-stage detector, which has no "
                "proposals to sweep over; measure it without --rois"
            )


QUICK = BenchPlan(quick=True, frames=100, seconds=10.0, warm_up=5, cool_down_s=0.0)


def _joined(numbers: tuple[int, ...]) -> str:
    return ",".join(map(str, numbers))
