"""What an evaluation must hold for `pocketdet val` to exit with 0, so that CI can use it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pocketdet.cli.val_report import labels
from pocketdet.errors import CheckFailed, UsageError

if TYPE_CHECKING:
    from pocketdet.evaluation.report import AccuracyReport


@dataclass(frozen=True)
class Gates:
    """`None` asks for nothing.

    Attributes:
        min_ap: no row has less AP, in percent.
        max_drop: no row is more points of percent of AP under the first one.
    Raises `UsageError` for values out of range; a share such as 0.63 would let everything through.
    """

    min_ap: float | None
    max_drop: float | None

    def __post_init__(self) -> None:
        if self.min_ap is not None and not 1 <= self.min_ap <= 100:
            raise UsageError(f"--min-ap {self.min_ap:g}: expected percent, 1 to 100, as the table shows it")
        if self.max_drop is not None and not 0 <= self.max_drop <= 100:
            raise UsageError(f"--max-drop {self.max_drop:g}: expected points of percent, 0 to 100")

    def expect_rows(self, count: int) -> None:
        """Raises `UsageError` if that many rows leave nothing to compare."""
        if self.max_drop is not None and count < 2:
            raise UsageError("--max-drop compares rows with the first one, and there is only one to measure")

    def check(self, report: "AccuracyReport") -> None:
        """Raises `CheckFailed`, naming every row that does not hold."""
        called = labels(report.subjects)
        points = [100 * (row.ap or 0.0) for row in report.subjects]
        failures = []
        for label, ap in zip(called, points, strict=True):
            if self.min_ap is not None and ap < self.min_ap:
                failures.append(f"{label} has AP {ap:.2f}, expected {self.min_ap:g} or more")
            if self.max_drop is not None and points[0] - ap > self.max_drop:
                drop = f"{points[0] - ap:.2f} points of AP under {called[0]}"
                failures.append(f"{label} is {drop}, expected {self.max_drop:g} or less")
        if failures:
            raise CheckFailed(f"{'; '.join(failures)} ({report.data.extent})")
