"""ThunderNet's Table 9 (section 4.5): frames per second, one thread on ARM and x86, 320x320, BN merged."""

from dataclasses import dataclass
from typing import Final

from pocketdet.benchmarks.record import BundleInfo, Record

ARM: Final = "Snapdragon 845"
X86: Final = "Xeon E5-2682v4"
GPU: Final = "GeForce 1080Ti"
INPUT: Final = (320, 320)


@dataclass(frozen=True)
class PaperRow:
    """One model: its MACs in millions (COCO) and frames per second by device."""

    mmacs: int
    fps: dict[str, float]


TABLE_9: Final = {
    "thundernet-snet49": PaperRow(262, {ARM: 24.1, X86: 47.3, GPU: 267.0}),
    "thundernet-snet146": PaperRow(473, {ARM: 13.8, X86: 32.3, GPU: 248.0}),
    "thundernet-snet535": PaperRow(1300, {ARM: 5.8, X86: 15.3, GPU: 214.0}),
}


def paper_device(record: Record) -> str | None:
    """The paper's device of the same kind as that of a record, if it has one."""
    if record.engine.processor != "CPU":
        return GPU
    architecture = record.device.architecture
    if architecture in ("aarch64", "arm64", "armv8l"):
        return ARM
    return X86 if architecture in ("x86_64", "amd64") else None


def paper_fps(bundle: BundleInfo, device: str | None) -> float | None:
    """The paper's figure for the model of a bundle on one of its devices, at its input size."""
    row = TABLE_9.get(bundle.architecture)
    if row is None or device is None or bundle.input != INPUT:
        return None
    return row.fps[device]
