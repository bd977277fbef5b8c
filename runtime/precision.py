"""What weights are stored as and what layers compute in: two choices, named apart.

Storage is a fact of the .bin file. Arithmetic is a request to an engine, which depends on the processor: ncnn
computes in half precision on ARMv8.2 and later only. A weight stored as a half runs anywhere, widened to
fp32 when it is loaded. Layers whose weights are stored as int8 compute in int8 everywhere; arithmetic is then
what the other layers do. docs/explanation/precision.md says what each means for accuracy.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

Storage = Literal["fp32", "fp16", "int8"]
Arithmetic = Literal["fp32", "fp16-storage", "fp16", "bf16-storage"]

STORAGES: Final[tuple[Storage, ...]] = ("fp32", "fp16", "int8")
# from the widest to the narrowest; bf16 has fewer digits than a half, and the range of fp32
ARITHMETICS: Final[tuple[Arithmetic, ...]] = ("fp32", "fp16-storage", "fp16", "bf16-storage")

# ncnn::Option (src/option.h). Storage: blobs and weights lie in memory as 16 bits and each layer widens them;
# arithmetic: products and sums are halves too. use_fp16_packed is for GPUs and follows storage.
_FP16 = ("use_fp16_packed", "use_fp16_storage")
_SWITCHES: Mapping[Arithmetic, tuple[str, ...]] = MappingProxyType(
    {
        "fp32": (),
        "fp16-storage": _FP16,
        "fp16": (*_FP16, "use_fp16_arithmetic"),
        "bf16-storage": ("use_bf16_packed", "use_bf16_storage"),
    }
)


@dataclass(frozen=True)
class Precision:
    """storage: the narrowest type that weights are stored as. arithmetic: of the layers that are not int8."""

    storage: Storage
    arithmetic: Arithmetic

    def __str__(self) -> str:
        if self.storage == "int8":
            return f"int8 weights computed in int8, other layers in {self.arithmetic}"
        return f"{self.storage} weights, {self.arithmetic} arithmetic"


def narrowest(arithmetics: Iterable[Arithmetic]) -> Arithmetic:
    """The one with the fewest digits."""
    return max(arithmetics, key=ARITHMETICS.index)


def ncnn_switches(arithmetic: Arithmetic) -> dict[str, bool]:
    """Every precision option of `ncnn::Option` that concerns a CPU, by name.

    `use_int8_inference` is not among them: without it ncnn would read int8 weights as floats.
    """
    on = _SWITCHES[arithmetic]
    return {name: name in on for name in dict.fromkeys(n for names in _SWITCHES.values() for n in names)}


def arithmetic_in_use(asked: Arithmetic, *, arm: bool, half: bool) -> Arithmetic:
    """What ncnn computes in when `asked` is asked of a processor.

    arm: 64-bit ARM, where bfloat16 storage needs no instructions of its own. half: with the half-precision
    instructions of ARMv8.2 (asimdhp). Elsewhere half precision is not asked for at all, since ncnn would
    still round the weights of some layers and call itself fp32.
    """
    possible = half if asked in ("fp16", "fp16-storage") else arm
    return asked if asked == "fp32" or (arm and possible) else "fp32"


def why_other(asked: Arithmetic, used: Arithmetic) -> str:
    """A sentence for a user who asked for one thing and got another; empty where both are the same."""
    if asked == used:
        return ""
    needs = "a 64-bit ARM processor" if asked == "bf16-storage" else "an ARMv8.2 processor with asimdhp"
    return f"{asked} was asked for and {used} ran: {asked} needs ncnn on {needs}"
