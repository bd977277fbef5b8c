"""How far a training run is: a bar in a terminal, lines elsewhere."""

import time
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from pocketdet.training.loop import StepReport

SMOOTHING = 0.97  # of the losses on screen; the log has each step's own
SECONDS = 30.0  # between lines


def progress_bar(console: Console) -> Progress:
    """Bars with the time that is left; nothing where the console is no terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, disable=not console.is_terminal)


def advancing(bar: Progress) -> Callable[[str, int], Callable[[], None]]:
    """A function that begins a bar with a title and a total, and returns what advances it."""

    def begin(title: str, total: int) -> Callable[[], None]:
        task = bar.add_task(title, total=total)
        return lambda: bar.advance(task)

    return begin


def step_text(report: "StepReport", shown: dict[str, float], ap: float | None) -> str:
    """The smoothed losses of a run and its last AP, for the left of its bar.

    Args:
        report: the last step.
        shown: the smoothed values, updated in place.
        ap: AP of the last evaluation, if there was any.
    """
    for name in ("loss", "accuracy"):
        value = report.losses[name]
        shown[name] = SMOOTHING * shown.get(name, value) + (1 - SMOOTHING) * value
    losses = f"{report.side} px  loss {shown['loss']:.3f}  class accuracy {shown['accuracy']:.2f}"
    return losses if ap is None else f"{losses}  AP {ap:.3f}"


class StepLines:
    """Lines about the steps of a run where the console is no terminal, such as a file or a job's log.

    A line follows the first step, the last one, and one every `SECONDS` between. Its losses are the means of
    the steps since the line before.

    Args:
        console: where they are printed.
        total: steps of the whole run.
        clock: seconds, from any origin.
    """

    def __init__(self, console: Console, total: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._console, self._total, self._clock = console, total, clock
        self._begin = self._printed = clock()
        self._done, self._since = 0, list[dict[str, float]]()

    def step(self, report: "StepReport") -> None:
        """Note a finished step, and print a line if it is time to."""
        if self._console.is_terminal:
            return
        now = self._clock()
        self._done += 1
        self._since.append(report.losses)
        if self._done > 1 and report.step < self._total and now - self._printed < SECONDS:
            return
        left = round((now - self._begin) / self._done * (self._total - report.step))
        means = {name: sum(each[name] for each in self._since) / len(self._since) for name in report.losses}
        losses = "  ".join(f"{name} {value:.3f}" for name, value in means.items())
        line = f"step {report.step} of {self._total}  {losses}  {timedelta(seconds=left)} left"
        self._console.print(line, markup=False, soft_wrap=True)
        self._printed, self._since = now, []
