"""Where a benchmark runs: this machine, a host behind ssh, a device behind adb, an emulated processor."""

from pocketdet.benchmarks.targets.session import (
    PYTHON_RUNNER,
    Session,
    open_session,
    open_target,
    parse_targets,
    through_app,
)

__all__ = ["PYTHON_RUNNER", "Session", "open_session", "open_target", "parse_targets", "through_app"]
