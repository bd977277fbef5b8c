"""Which layers stay in fp32 so that a limit holds, found with few measurements."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Sensitivity:
    """What quantising one layer alone does. sqnr_db: of its own output. output_error: the largest relative
    error of any output of the graph. macs: what it would compute in int8.
    """

    sqnr_db: float
    output_error: float
    macs: int


def most_harm_first(sensitivities: Mapping[str, Sensitivity]) -> list[str]:
    """Layers by the noise power that each multiply-accumulate in int8 costs; noise of layers adds up in
    power.
    """

    def price(name: str) -> tuple[float, str]:
        found = sensitivities[name]
        return -(found.output_error**2) / max(found.macs, 1), name

    return sorted(sensitivities, key=price)


def fewest_kept(order: Sequence[str], holds: Callable[[Sequence[str]], bool]) -> Sequence[str]:
    """The shortest prefix of `order` for which `holds`, by bisection; all of `order` is taken to hold.

    Whatever is returned was measured, all of `order` apart. Where `holds` is not monotonic, a shorter prefix
    may exist.
    """
    if holds(()):
        return ()
    low, high = 0, len(order)  # low does not hold, high does
    while high - low > 1:
        middle = (low + high) // 2
        if holds(order[:middle]):
            high = middle
        else:
            low = middle
    return order[:high]
