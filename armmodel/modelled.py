"""Model a subject on cores: cycles, instructions and the limit of the SIMD units, by stage and layer."""

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pocketdet.armmodel.cores import Core, Kernels
from pocketdet.armmodel.frame import Account, Amount
from pocketdet.armmodel.instrument import Instrument, cache_folder
from pocketdet.armmodel.pipeline import ITERATIONS, CostStore, PipelineModel
from pocketdet.armmodel.subject import LayerFacts, Run, Subject
from pocketdet.armmodel.trace import short_name
from pocketdet.benchmarks.layers import layer_label


@dataclass(frozen=True)
class Figures:
    """A sum over a frame, or over a part of it.

    Attributes:
        cycles: Modelled cycles of the core.
        instructions: Executed instructions.
        macs: Multiply-accumulates.
        limit: The fewest cycles that these take.
        lines: Lines of memory that missed in the caches; 0 for a function, which they are not counted for.
    """

    cycles: float
    instructions: int
    macs: int = 0
    limit: float = 0.0
    lines: int = 0

    @property
    def ipc(self) -> float:
        """Instructions per cycle."""
        return self.instructions / self.cycles if self.cycles else 0.0

    @property
    def share_of_limit(self) -> float | None:
        """The share of the SIMD units' throughput that is used, None without multiply-accumulates."""
        return self.limit / self.cycles if self.limit and self.cycles else None


@dataclass(frozen=True)
class NamedFigures:
    """One stage, or one function of the program."""

    name: str
    figures: Figures


@dataclass(frozen=True)
class LayerFigures:
    """One layer of a network in the order of execution, with its most expensive functions first."""

    stage: str
    facts: LayerFacts
    figures: Figures
    functions: tuple[tuple[str, float], ...]

    @property
    def label(self) -> str:
        """The PyTorch module, or else ncnn's type and name."""
        return layer_label(self.facts.type, self.facts.name, self.facts.module)

    @property
    def main_function(self) -> str:
        """The short name of the function that takes most of its cycles, "" if it has none."""
        return short_name(self.functions[0][0]) if self.functions else ""


@dataclass(frozen=True)
class Modelled:
    """One frame of a subject on one core. Nothing in it is measured.

    Attributes:
        subject: Its name.
        core: The core.
        precision: The arithmetic that ncnn used.
        rois: Proposals that the head saw, 0 for none.
        total: The whole frame.
        stages: Its stages in order.
        layers: The layers of its networks in the order of execution.
        functions: The functions, the most expensive first.
        unmodelled: Share of the instructions that the core's model lacks; they cost nothing.
        estimated: Share of the instructions that were not analysed; they got the mean of the others.
    """

    subject: str
    core: Core
    precision: str
    rois: int
    total: Figures
    stages: tuple[NamedFigures, ...]
    layers: tuple[LayerFigures, ...]
    functions: tuple[NamedFigures, ...]
    unmodelled: float
    estimated: float


class Progress(Protocol):
    """What a caller shows while it waits."""

    def step(self, label: str, total: int) -> None:
        """Begin a step with so many parts, 0 if that is not known."""

    def advance(self, parts: int) -> None:
        """So many parts more are done."""


class NoProgress:
    """Shows nothing."""

    def step(self, label: str, total: int) -> None:
        """Do nothing."""

    def advance(self, parts: int) -> None:
        """Do nothing."""


def model(
    subject: Subject, cores: Sequence[Core], instrument: Instrument, progress: Progress | None = None
) -> Iterator[Modelled]:
    """Model one frame of a subject on cores. Cores that run the same code share one emulation.

    Args:
        subject: What is run.
        cores: The cores.
        instrument: The programs that do it.
        progress: Told what is done.

    Yields:
        The model of each core, in the order of the cores.

    Raises:
        PocketdetError: If the subject cannot be run, or a program fails.
    """
    shown = progress or NoProgress()
    runs: dict[Kernels, Run] = {}
    with closing(CostStore(_store_path(instrument))) as store:
        jobs = os.cpu_count() or 1
        pipeline = PipelineModel(instrument.llvm.mc, instrument.llvm.mca, store, jobs)
        for core in cores:
            if core.kernels not in runs:
                shown.step(f"{subject.name}: emulating {core.name}", 0)
                runs[core.kernels] = subject.run(instrument, core, lambda: shown.advance(0))
            run = runs[core.kernels]
            blocks = run.frame.blocks_to_analyse()
            shown.step(f"{subject.name}: blocks on {core.name}", len(blocks))
            costs = pipeline.costs(core.model, blocks, shown.advance)
            yield summarise(subject.name, core, run, run.frame.account(costs, run.functions))


def summarise(name: str, core: Core, run: Run, account: Account) -> Modelled:
    """Join the cycles of a frame with what is known of its layers."""
    layers = [
        _layer(core, stage, facts, account, (run.stages.index(stage), place))
        for stage, all_facts in run.layers.items()
        for place, facts in enumerate(all_facts)
    ]
    stages = [_stage(stage, i, account, layers) for i, stage in enumerate(run.stages)]
    macs, limit = sum(s.figures.macs for s in stages), sum(s.figures.limit for s in stages)
    total = Figures(account.total.cycles, account.total.instructions, macs, limit, account.total.lines)
    shares = account.unmodelled, account.estimated
    functions = _functions(account)
    return Modelled(
        name, core, run.precision, run.rois, total, tuple(stages), tuple(layers), functions, *shares
    )


def _layer(
    core: Core, stage: str, facts: LayerFacts, account: Account, place: tuple[int, int]
) -> LayerFigures:
    amount = account.by_part.get(place, Amount())
    figures = Figures(amount.cycles, amount.instructions, facts.macs, facts.limit(core), amount.lines)
    spent = [(name, a.cycles) for (s, layer, name), a in account.by_function.items() if (s, layer) == place]
    return LayerFigures(stage, facts, figures, tuple(sorted(spent, key=_most_first)))


def _stage(name: str, index: int, account: Account, layers: Sequence[LayerFigures]) -> NamedFigures:
    amounts = [amount for (stage, _), amount in account.by_part.items() if stage == index]
    own = [layer.figures for layer in layers if layer.stage == name]
    spent = sum(a.cycles for a in amounts), sum(a.instructions for a in amounts)
    lines = sum(a.lines for a in amounts)
    return NamedFigures(name, Figures(*spent, sum(f.macs for f in own), sum(f.limit for f in own), lines))


def _functions(account: Account) -> tuple[NamedFigures, ...]:
    amounts: dict[str, Amount] = defaultdict(Amount)
    for (_, _, name), amount in account.by_function.items():
        amounts[name].add(amount.instructions, amount.cycles)
    ordered = sorted(amounts.items(), key=lambda item: _most_first((item[0], item[1].cycles)))
    return tuple(NamedFigures(name, Figures(a.cycles, a.instructions)) for name, a in ordered)


def _most_first(item: tuple[str, float]) -> tuple[float, str]:
    return -item[1], item[0]


def _store_path(instrument: Instrument) -> Path:
    return cache_folder() / f"block-costs-llvm-{instrument.llvm.version}-{ITERATIONS}.sqlite3"
