"""The cores that can be modelled: the pipeline model of LLVM, what qemu emulates, and the SIMD units."""

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

from pocketdet.errors import UsageError

OUTER_KIB: Final = 512
OUTER_WAYS: Final = 16
"""The cache behind the first one, whose missing lines are counted, the same for all cores: the second-level
cache of a Cortex-A76, the last one of an RK3566."""

Kernels = tuple[str, int, int, int]
"""Of a core: qemu's name, both caches in KiB, and the ID of a core for which ncnn has kernels of its own."""


@dataclass(frozen=True)
class Core:
    """One core.

    Attributes:
        name: Arm's or Qualcomm's name of it.
        model: LLVM's name of the pipeline model, for `llvm-mca -mcpu`.
        reason: Why this model stands for the core.
        emulated: qemu's name of a processor with the same instructions. ncnn chooses its kernels by them.
        midr: Main ID register: implementer, variant, architecture, part and revision. ncnn has kernels of its
            own for the Cortex-A55.
        fma_pipes: 128-bit multiply-accumulate instructions that can begin in one cycle.
        l1_kib: First-level data cache in KiB.
        l2_kib: Second-level cache in KiB. ncnn chooses the tiles of a matrix product by it.
    """

    name: str
    model: str
    reason: str
    emulated: str
    midr: int
    fma_pipes: int
    l1_kib: int
    l2_kib: int

    @property
    def l1_ways(self) -> int:
        """Ways of the first-level data cache."""
        return 6 if self.l1_kib == 96 else 4

    @property
    def kernels(self) -> Kernels:
        """What decides which code runs and which lines miss: cores that agree in it share one emulation."""
        is_little = (self.midr >> 4 & 0xFFF) in _LITTLE_PARTS
        return self.emulated, self.l1_kib, self.l2_kib, self.midr if is_little else 0

    @property
    def cycles_depend_on(self) -> tuple[str, Kernels]:
        """Cores that agree in it have the same modelled cycles: the pipeline model and the code."""
        return self.model, self.kernels

    def macs_per_instruction(self, kind: Literal["fp32", "fp16", "int8"]) -> int:
        """Multiply-accumulates of the widest 128-bit instruction: FMLA, SDOT, or SMMLA with i8mm."""
        return {"fp32": 4, "fp16": 8, "int8": 32 if self.emulated == _V9 else 16}[kind]


_LITTLE_PARTS = (0xD03, 0xD04, 0xD05)  # for which ncnn has kernels of their own: Cortex-A53, A35, A55
_V8 = "cortex-a76"  # ARMv8.2: half precision and dot products
_V9 = "max,sve=off,sme=off"  # and i8mm, bf16; ncnn is built without its SVE kernels
_NEOVERSE_N1 = "the Neoverse N1 is the server version of the Cortex-A76"
_NEOVERSE_N2 = "the Neoverse N2 is the server version of the Cortex-A710"
_NEOVERSE_V2 = "the Neoverse V2 is the server version of the Cortex-X3"


def _core(
    name: str, model: str, reason: str, *, emulated: str, part: int, pipes: int, caches: tuple[int, int]
) -> Core:
    implementer = 0x51 if name == "oryon" else 0x41
    return Core(name, model, reason, emulated, implementer << 24 | 0xF << 16 | part << 4, pipes, *caches)


_ALL = (
    _core(
        "cortex-a55",
        "cortex-a55",
        "LLVM models this core",
        emulated=_V8,
        part=0xD05,
        pipes=1,
        caches=(32, 128),
    ),
    _core("cortex-a76", "neoverse-n1", _NEOVERSE_N1, emulated=_V8, part=0xD0B, pipes=2, caches=(64, 512)),
    _core(
        "cortex-a78",
        "neoverse-n1",
        "the Cortex-A78 has the vector units of the A76; no model of its own",
        emulated=_V8,
        part=0xD41,
        pipes=2,
        caches=(64, 512),
    ),
    _core(
        "cortex-x1",
        "neoverse-v1",
        "the Neoverse V1 is the server version of the Cortex-X1",
        emulated=_V8,
        part=0xD44,
        pipes=4,
        caches=(64, 1024),
    ),
    _core(
        "cortex-a510",
        "cortex-a510",
        "LLVM models this core",
        emulated=_V9,
        part=0xD46,
        pipes=1,
        caches=(32, 256),
    ),
    _core("cortex-a710", "neoverse-n2", _NEOVERSE_N2, emulated=_V9, part=0xD47, pipes=2, caches=(64, 512)),
    _core(
        "cortex-a715",
        "neoverse-n2",
        "the A715 follows the A710 with the same vector units; no model of its own",
        emulated=_V9,
        part=0xD4D,
        pipes=2,
        caches=(64, 512),
    ),
    _core(
        "cortex-a720",
        "neoverse-n2",
        "the A720 follows the A715 with the same vector units; no model of its own",
        emulated=_V9,
        part=0xD81,
        pipes=2,
        caches=(64, 512),
    ),
    _core(
        "neoverse-n2",
        "neoverse-n2",
        "LLVM models this core",
        emulated=_V9,
        part=0xD49,
        pipes=2,
        caches=(64, 1024),
    ),
    _core("cortex-x3", "neoverse-v2", _NEOVERSE_V2, emulated=_V9, part=0xD4E, pipes=4, caches=(64, 1024)),
    _core(
        "cortex-x4",
        "neoverse-v2",
        "the X4 follows the X3 with the same vector units; no model of its own",
        emulated=_V9,
        part=0xD82,
        pipes=4,
        caches=(64, 1024),
    ),
    _core("oryon", "oryon-1", "LLVM models this core", emulated=_V9, part=0x001, pipes=4, caches=(96, 12288)),
)

CORES = MappingProxyType({core.name: core for core in _ALL})
"""By name, in the order of their generations."""


def find_cores(names: Sequence[str]) -> list[Core]:
    """Look up cores, without duplicates.

    Args:
        names: Names such as "cortex-a76" or "a76".

    Returns:
        The cores in the order of the names.

    Raises:
        UsageError: For a name without a model.
    """
    found = {}
    for name in names:
        core = CORES.get(name.lower()) or CORES.get(f"cortex-{name.lower()}")
        if core is None:
            raise UsageError(f"--core {name}: there is no pipeline model; expected one of {', '.join(CORES)}")
        found[core.name] = core
    return list(found.values())
