"""The machines a graph can be laid out for: how many channels ncnn packs there, and what that is worth."""

from dataclasses import dataclass, replace
from types import MappingProxyType

from pocketdet.errors import UsageError
from pocketdet.export.passes.align_lanes import LANES
from pocketdet.export.passes.lanes.cost import NEON_FP16, NEON_FP32, X86, Rates

DEFAULT_TARGET = "neon-fp16"


@dataclass(frozen=True)
class LaneTarget:
    """`lanes` channels make one packed element; `rates` are the cost model; `machines` says who that is.

    `direct_stem` says whether ncnn must be told there to take the direct kernel for a picture.
    """

    name: str
    lanes: int
    rates: Rates
    machines: str
    direct_stem: bool = False


LANE_TARGETS = MappingProxyType(
    {
        target.name: target
        for target in (
            LaneTarget("neon-fp32", 4, NEON_FP32, "ARM in single precision: Cortex-A53 to A73"),
            LaneTarget("neon-fp16", 8, NEON_FP16, "ARMv8.2 in half precision: Snapdragon 845 and later"),
            LaneTarget("avx2", 8, X86, "x86 with AVX2", direct_stem=True),
            LaneTarget("avx512", 16, X86, "x86 with AVX-512", direct_stem=True),
        )
    }
)


def lane_target(name: str, lanes: int | None = None) -> LaneTarget:
    """The target of that name, with fewer `lanes` than it packs if asked. Raises `UsageError`."""
    if name not in LANE_TARGETS:
        raise UsageError(f"target {name!r}: expected one of {', '.join(LANE_TARGETS)}")
    target = LANE_TARGETS[name]
    if lanes is None:
        return target
    possible = [pack for pack in LANES if pack <= target.lanes]
    if lanes not in possible:
        others = ", ".join(f"{other.name} {other.lanes}" for other in LANE_TARGETS.values())
        raise UsageError(
            f"{lanes} lanes for target {name}: expected {' or '.join(map(str, possible))}; the targets pack "
            f"{others}"
        )
    return replace(target, lanes=lanes)
