"""Weight storage and arithmetic.

Storage is the weight type in the .bin file. Arithmetic is a request to the engine that depends on the
processor: ncnn computes in half precision only on ARMv8.2 and later. fp16 weights run everywhere and are
converted to fp32 when they are loaded. Layers with int8 weights compute in int8 everywhere; arithmetic then
applies to the other layers. docs/explanation/precision.md reports the effect on accuracy.
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
    """Storage: the narrowest weight type. Arithmetic: of the layers that are not int8."""

    storage: Storage
    arithmetic: Arithmetic

    def __str__(self) -> str:
        if self.storage == "int8":
            return f"int8 weights computed in int8, other layers in {self.arithmetic}"
        return f"{self.storage} weights, {self.arithmetic} arithmetic"


def narrowest(arithmetics: Iterable[Arithmetic]) -> Arithmetic:
    """Return the arithmetic with the lowest precision."""
    return max(arithmetics, key=ARITHMETICS.index)


def ncnn_switches(arithmetic: Arithmetic) -> dict[str, bool]:
    """Return all CPU precision options of `ncnn::Option` by name.

    `use_int8_inference` is not included: without it ncnn would read int8 weights as floats.
    """
    on = _SWITCHES[arithmetic]
    return {name: name in on for name in dict.fromkeys(n for names in _SWITCHES.values() for n in names)}


def arithmetic_in_use(requested: Arithmetic, *, arm: bool, half: bool) -> Arithmetic:
    """Return the arithmetic that ncnn uses for a request.

    On other processors half precision is not requested from ncnn, because ncnn would still round the weights
    of some layers while it reports fp32.

    Args:
        requested: the requested arithmetic.
        arm: whether the processor is 64-bit ARM, which suffices for bf16 storage.
        half: whether it has the half-precision instructions of ARMv8.2 (asimdhp).
    """
    possible = half if requested in ("fp16", "fp16-storage") else arm
    return requested if requested == "fp32" or (arm and possible) else "fp32"


def fallback_note(requested: Arithmetic, used: Arithmetic) -> str:
    """Explain in one sentence why `used` is not `requested`; empty if they are equal."""
    if requested == used:
        return ""
    needs = "a 64-bit ARM processor" if requested == "bf16-storage" else "an ARMv8.2 processor with asimdhp"
    return f"{requested} was requested and {used} is in use: {requested} needs ncnn on {needs}"
