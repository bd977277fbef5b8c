"""Where a benchmark runs: this machine, a host behind ssh, a device behind adb, an emulated processor."""

from pocketdet.benchmarks.targets.base import Ended, Target, Tick
from pocketdet.benchmarks.targets.choose import open_target, parse_targets, through_app
from pocketdet.benchmarks.targets.session import Session, open_session

__all__ = [
    "Ended",
    "Session",
    "Target",
    "Tick",
    "open_session",
    "open_target",
    "parse_targets",
    "through_app",
]
