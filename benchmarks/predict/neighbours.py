"""Devices that nobody published a run of, by way of devices of their kind."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Neighbour:
    """A fitted device, one thread, and the clock in GHz of the core that ran."""

    name: str
    cores: str
    ghz: float


@dataclass(frozen=True)
class DerivedDevice:
    """A device at `ghz`, between its neighbours in kind; `reasoning` is printed with every prediction."""

    name: str
    ghz: float
    neighbours: tuple[Neighbour, ...]
    reasoning: str


SNAPDRAGON_845 = DerivedDevice(
    "Qualcomm SDM845 Snapdragon 845 (derived)",
    2.8,
    (
        Neighbour("Qualcomm MSM8998 Snapdragon 835", "big", 2.45),
        Neighbour("Rockchip RK3588", "big", 2.4),
    ),
    "in fp32: its fast core, a Cortex-A75 at 2.8 GHz, stands between the Cortex-A73 of the 835 and the "
    "Cortex-A76 of this RK3588 run; by their multiply-accumulates per clock both ran in fp32",
)
DERIVED = (SNAPDRAGON_845,)
