"""The kinds of objects that can be drawn, by their FOD-A class names."""

import difflib
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from pocketdet.errors import UsageError

from . import bent, debris, fasteners, hand_tools, household, pieces
from .solid import Solid

Builder = Callable[[np.random.Generator], Solid]

CATALOG: Mapping[str, Builder] = MappingProxyType(
    {
        "AdjustableClamp": pieces.adjustable_clamp,
        "AdjustableWrench": hand_tools.adjustable_wrench,
        "Battery": household.battery,
        "Bolt": fasteners.bolt,
        "BoltNutSet": fasteners.bolt_nut_set,
        "BoltWasher": fasteners.bolt_washer,
        "ClampPart": pieces.clamp_part,
        "Cutter": pieces.cutter,
        "FuelCap": household.fuel_cap,
        "Hammer": hand_tools.hammer,
        "Hose": bent.hose,
        "Label": bent.label,
        "LuggagePart": pieces.luggage_part,
        "LuggageTag": bent.luggage_tag,
        "MetalPart": pieces.metal_part,
        "MetalSheet": debris.metal_sheet,
        "Nail": fasteners.nail,
        "Nut": fasteners.nut,
        "PaintChip": debris.paint_chip,
        "Pen": household.pen,
        "PlasticPart": pieces.plastic_part,
        "Pliers": hand_tools.pliers,
        "Rock": debris.rock,
        "Screw": fasteners.screw,
        "Screwdriver": hand_tools.screwdriver,
        "SodaCan": household.soda_can,
        "Tape": household.tape,
        "Washer": fasteners.washer,
        "Wire": bent.wire,
        "Wood": debris.wood_piece,
        "Wrench": hand_tools.wrench,
    }
)


def kinds() -> tuple[str, ...]:
    """Class names that `build` can draw, in alphabetical order."""
    return tuple(CATALOG)


def build(kind: str, rng: np.random.Generator) -> Solid:
    """An object of the class `kind`, its proportions, colours and wear drawn from `rng`.

    Raises:
        UsageError: no such kind.
    """
    if kind not in CATALOG:
        close = difflib.get_close_matches(kind, CATALOG, 1)
        hint = f"; did you mean {close[0]}?" if close else f"; known kinds: {', '.join(kinds())}"
        raise UsageError(f"cannot draw an object of kind {kind!r}{hint}")
    return CATALOG[kind](rng)
