"""The output of `pocketdet cycles`: tables, JSON and progress. Every figure is called modelled."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

if TYPE_CHECKING:
    from pocketdet.armmodel.cores import Core
    from pocketdet.armmodel.modelled import Figures, LayerFigures, Modelled


@dataclass(frozen=True)
class Clock:
    """A core, and its clock in GHz if milliseconds are asked for. `label` names the device or the core.

    `line_ns` is the time of a line of memory that misses in the caches, 0 if it is not known.
    """

    label: str
    core: "Core"
    ghz: float | None
    line_ns: float = 0.0

    def milliseconds(self, figures: "Figures") -> float | None:
        """The time of a part of a frame, None without a clock."""
        from pocketdet.armmodel.devices import milliseconds

        return milliseconds(figures.cycles, self.ghz, figures.lines, self.line_ns) if self.ghz else None


class CyclesProgress:
    """A bar on standard error; it implements `pocketdet.armmodel.modelled.Progress`."""

    def __init__(self) -> None:
        columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn())
        console = Console(stderr=True)
        self._progress = Progress(*columns, TimeElapsedColumn(), console=console, transient=True)
        self._task = self._progress.add_task("", total=None)

    def step(self, label: str, total: int) -> None:
        """Begin a step."""
        self._progress.reset(self._task, total=total or None, description=label)

    def advance(self, parts: int) -> None:
        """Move the bar."""
        self._progress.advance(self._task, parts)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()


def print_modelled(modelled: "Modelled", clocks: Sequence[Clock], top: int, console: Console) -> None:
    """Print the stages, the most expensive layers and functions, and what the model left out.

    Args:
        modelled: One frame on one core.
        clocks: All clocks that were asked for; those of the core give milliseconds.
        top: Rows of the tables of layers and functions.
        console: Where to print.
    """
    of_core = [clock for clock in clocks if clock.core == modelled.core and clock.ghz]
    console.print(f"{_title(modelled)}: modelled, not measured", style="bold", markup=False, soft_wrap=True)
    table = _table("stage", "M cycles", "share", "IPC", "MMAC", "of limit")
    for clock in of_core:
        table.add_column(f"ms, {clock.label}", justify="right", overflow="fold")
    rows = [(stage.name, stage.figures) for stage in modelled.stages]
    for name, figures in [*rows, ("all", modelled.total)]:
        share = figures.cycles / modelled.total.cycles
        times = [f"{clock.milliseconds(figures):.2f}" for clock in of_core]
        table.add_row(name, f"{figures.cycles / 1e6:.2f}", f"{share:.0%}", *_rates(figures), *times)
    console.print(table)
    if top:
        _print_layers(modelled, top, console)
        _print_functions(modelled, top, console)
    console.print(_limits(modelled), markup=False)
    _print_errors(modelled, of_core, console)


def _print_errors(modelled: "Modelled", clocks: Sequence[Clock], console: Console) -> None:
    from pocketdet.armmodel.validation import known_errors

    console.print(_what_it_is(clocks), markup=False)
    errors = known_errors(modelled.core)
    if errors:
        console.print("Against published times of ncnn's benchmark:", markup=False)
        for sentence in errors:
            console.print(f"  {sentence}", markup=False)
    else:
        console.print(f"No published times of {modelled.core.name} to compare with.", markup=False)


def _print_layers(modelled: "Modelled", top: int, console: Console) -> None:
    table = _table(
        "layer",
        "M cycles",
        "share",
        "IPC",
        "MMAC",
        "of limit",
        title=f"most expensive of {len(modelled.layers)} layers",
    )
    table.add_column("most of it in", overflow="fold")
    for layer in sorted(modelled.layers, key=lambda one: -one.figures.cycles)[:top]:
        share = layer.figures.cycles / modelled.total.cycles
        figures = f"{layer.figures.cycles / 1e6:.3f}", f"{share:.1%}", *_rates(layer.figures)
        table.add_row(escape(layer.label), *figures, escape(layer.main_function))
    console.print(table)


def _print_functions(modelled: "Modelled", top: int, console: Console) -> None:
    from pocketdet.armmodel.trace import short_name

    table = _table("function", "M cycles", "share", "IPC", title="most expensive functions")
    for function in modelled.functions[:top]:
        share = function.figures.cycles / modelled.total.cycles
        figures = f"{function.figures.cycles / 1e6:.3f}", f"{share:.1%}", f"{function.figures.ipc:.2f}"
        table.add_row(escape(short_name(function.name)), *figures)
    console.print(table)


def print_pair(
    first: "Modelled", second: "Modelled", clocks: Sequence[Clock], top: int, console: Console
) -> None:
    """Print two models of one core side by side, the functions that differ most first.

    Args:
        first, second: One frame of each on the same core.
        clocks: All clocks that were asked for.
        top: Rows of the table of functions.
        console: Where to print.
    """
    from pocketdet.armmodel.trace import short_name

    console.print(f"first:  {_title(first)}", markup=False, soft_wrap=True)
    console.print(f"second: {_title(second)}", markup=False, soft_wrap=True)
    table = _table("M cycles, modelled", "first", "second", "difference", "first : second")
    names = list(dict.fromkeys(stage.name for m in (first, second) for stage in m.stages))
    stages = [{stage.name: stage.figures.cycles for stage in m.stages} for m in (first, second)]
    for name in names:
        table.add_row(name, *_pair(stages[0].get(name, 0.0), stages[1].get(name, 0.0)))
    table.add_row("all", *_pair(first.total.cycles, second.total.cycles))
    of_core = [clock for clock in clocks if clock.core == first.core and clock.ghz]
    for clock in of_core:
        both = [clock.milliseconds(m.total) or 0.0 for m in (first, second)]
        table.add_row(f"ms, {clock.label}", *_pair(both[0] * 1e6, both[1] * 1e6))
    console.print(table)
    spent = [{f.name: f.figures.cycles for f in m.functions} for m in (first, second)]
    differing = sorted(
        spent[0].keys() | spent[1].keys(),
        key=lambda name: (-abs(spent[0].get(name, 0.0) - spent[1].get(name, 0.0)), name),
    )
    table = _table("function", "first", "second", "difference", "first : second", title="where they differ")
    for name in differing[:top]:
        table.add_row(escape(short_name(name)), *_pair(spent[0].get(name, 0.0), spent[1].get(name, 0.0)))
    console.print(table)
    _print_errors(first, of_core, console)


def print_list(console: Console) -> None:
    """Print the cores with their models, and the devices."""
    from pocketdet.armmodel.cores import CORES
    from pocketdet.armmodel.devices import DEVICES

    table = Table("core", "LLVM's model", "why", box=None, padding=(0, 2, 0, 0))
    for core in CORES.values():
        table.add_row(core.name, core.model, core.reason)
    console.print(table, "")
    table = Table("device", "core", "GHz", "note", box=None, padding=(0, 2, 0, 0))
    for device in DEVICES:
        table.add_row(device.name, device.core, f"{device.ghz:g}", device.note)
    console.print(table)


def record_of(modelled: "Modelled", clocks: Sequence[Clock]) -> dict[str, Any]:
    """A JSON object whose keys cannot be mistaken for a measurement."""
    from pocketdet.armmodel.validation import known_errors

    core = modelled.core
    times = {c.label: c.milliseconds(modelled.total) for c in clocks if c.core == core and c.ghz}
    return {
        "subject": modelled.subject,
        "measured": False,
        "core": core.name,
        "model": core.model,
        "precision": modelled.precision,
        "rois": modelled.rois,
        **_figures(modelled.total),
        "modelled_ms": times,
        "errors_against_published_times": known_errors(core),
        "share_of_instructions_without_model": modelled.unmodelled,
        "share_of_instructions_estimated": modelled.estimated,
        "stages": [{"name": stage.name, **_figures(stage.figures)} for stage in modelled.stages],
        "layers": [_layer_record(layer) for layer in modelled.layers],
        "functions": [{"name": f.name, **_work(f.figures)} for f in modelled.functions],
    }


def _layer_record(layer: "LayerFigures") -> dict[str, Any]:
    facts = layer.facts
    return {
        "stage": layer.stage,
        "name": facts.name,
        "type": facts.type,
        "module": facts.module,
        "output": facts.output,
        "arithmetic": facts.kind,
        **_figures(layer.figures),
        "functions": {
            name: cycles for name, cycles in layer.functions if cycles > 0.01 * layer.figures.cycles
        },
    }


def _figures(figures: "Figures") -> dict[str, Any]:
    return {**_work(figures), "lines_from_memory": figures.lines}


def _work(figures: "Figures") -> dict[str, Any]:
    return {
        "modelled_cycles": figures.cycles,
        "instructions": figures.instructions,
        "macs": figures.macs,
        "limit_cycles": figures.limit,
    }


def _title(modelled: "Modelled") -> str:
    rois = f", {modelled.rois} RoIs" if modelled.rois else ""
    core = modelled.core
    model = "" if core.model == core.name else f" (LLVM's {core.model})"
    return f"{modelled.subject} on {core.name}{model}, {modelled.precision}{rois}"


def _what_it_is(clocks: Sequence[Clock]) -> str:
    """That nothing is measured, and which of the milliseconds include memory."""
    sentences = ["Modelled, not measured, one thread. Cycles are those of the pipeline alone."]
    known, unknown = ([c.label for c in clocks if bool(c.line_ns) is known] for known in (True, False))
    if known:
        sentences.append(f"Milliseconds on the {', '.join(known)} include its memory.")
    if unknown:
        sentences.append(f"Milliseconds on the {', '.join(unknown)} do not include memory.")
    return " ".join(sentences)


def _limits(modelled: "Modelled") -> str:
    return (
        f"of limit: share of the throughput of {modelled.core.fma_pipes} SIMD pipes that MACs "
        f"use. {modelled.unmodelled:.2%} of the instructions have no model and cost nothing; "
        f"{modelled.estimated:.2%} were not analysed and got the mean."
    )


def _rates(figures: "Figures") -> tuple[str, str, str]:
    macs = f"{figures.macs / 1e6:.1f}" if figures.macs else ""
    share = figures.share_of_limit
    return f"{figures.ipc:.2f}", macs, "" if share is None else f"{share:.0%}"


def _pair(first: float, second: float) -> tuple[str, str, str, str]:
    ratio = f"{first / second:.2f}" if first and second else ""
    return f"{first / 1e6:.2f}", f"{second / 1e6:.2f}", f"{(second - first) / 1e6:+.2f}", ratio


def _table(first: str, *others: str, title: str | None = None) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), title=title, title_justify="left")
    table.add_column(first, overflow="fold")
    for name in others:
        table.add_column(name, justify="right", no_wrap=True)
    return table
