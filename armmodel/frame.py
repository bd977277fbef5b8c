"""One frame of a traced program, split by stage and by layer of ncnn; its cycles on a core (`Account`)."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pocketdet.armmodel.pipeline import BlockCost
from pocketdet.armmodel.trace import Block, Symbols, Trace, Words
from pocketdet.errors import EngineError
from pocketdet.runtime.ncnn_graph import Graph, Layer

BRANCHES = (
    (0x7C000000, 0x14000000),  # b, bl
    (0xFE000000, 0x54000000),  # b.cond
    (0x7E000000, 0x34000000),  # cbz, cbnz
    (0x7E000000, 0x36000000),  # tbz, tbnz
    (0xFE000000, 0xD6000000),  # br, blr, ret
    (0xFF000000, 0xD4000000),  # svc
)
"""Mask and value of the instructions that end a block."""


@dataclass(frozen=True)
class Marks:
    """The functions whose entries split a run.

    Attributes:
        frame: Entered at the beginning of every frame.
        clock: Read before the first stage and after each stage.
        layer: Entered for each layer of a network, in the order of execution.
    """

    frame: int
    clock: int
    layer: int

    @classmethod
    def of(cls, symbols: Symbols, frame: str) -> "Marks":
        """Find the functions of a program; `frame` is how the name of its first begins."""
        clock = symbols.address("std::chrono::_V2::steady_clock::now")
        return cls(symbols.address(frame), clock, symbols.address("ncnn::NetPrivate::do_forward_layer"))

    def addresses(self) -> tuple[int, int, int]:
        """All of them, for the plugin."""
        return self.frame, self.clock, self.layer


@dataclass(frozen=True)
class Part:
    """What one layer, or the rest of a stage, executed.

    `layer` counts the layers of the stage in the order of execution; None stands for what comes before the
    first: the program's own work, or the input's conversion. `counts` are executions by index of the block.
    `lines` counts the lines of memory that missed in the caches.
    """

    stage: int
    layer: int | None
    counts: Mapping[int, int]
    lines: int = 0


def last_frame(trace: Trace, marks: Marks, stages: int) -> list[Part]:
    """Cut the last frame out of a run.

    Args:
        trace: The run.
        marks: The addresses that it watched.
        stages: How many stages a frame has.

    Returns:
        The parts in the order of execution. What follows the last layer of a stage belongs to it: the
        conversion of the outputs.

    Raises:
        EngineError: If there is no complete frame.
    """
    starts = [i for i, segment in enumerate(trace.segments) if segment.reached == marks.frame]
    if not starts:
        raise EngineError("the run that was counted has no frame")
    parts: list[Part] = []
    stage, layer = -1, None
    for segment in trace.segments[starts[-1] + 1 :]:
        if segment.reached == marks.clock:
            stage, layer = stage + 1, None
            if stage == stages:
                return parts
        elif segment.reached == marks.layer:
            layer = 0 if layer is None else layer + 1
        parts.append(Part(stage, layer, segment.counts, segment.lines))
    raise EngineError(f"the run that was counted ended in stage {stage + 1} of {stages} of its last frame")


def join_blocks(blocks: Sequence[Block], parts: Iterable[Part]) -> dict[int, Block]:
    """Join each block with the one that always follows it: qemu ends a block at the end of a page, too.

    The head of a loop and what runs before its first pass may end at one page: a block that is only ever
    reached from several such blocks is joined with each of them.

    Args:
        blocks: The blocks of the run.
        parts: The parts of a frame.

    Returns:
        The blocks to analyse, by the index of their first one. An index that is missing is part of others.
    """
    total: Counter[int] = Counter()
    for part in parts:
        total.update(part.counts)
    before: dict[int, list[int]] = defaultdict(list)
    for index in sorted(total):
        block = blocks[index]
        if not ends_in_branch(block.words):
            before[block.address + 4 * len(block.words)].append(index)
    follower: dict[int, int] = {}
    for index, count in sorted(total.items()):
        runs_on = before.get(blocks[index].address, [])
        if count == sum(total[i] for i in runs_on):
            follower |= dict.fromkeys(runs_on, index)
    joined = {}
    for index in sorted(total.keys() - set(follower.values())):
        words, i = blocks[index].words, index
        while i in follower:
            i = follower[i]
            words += blocks[i].words
        joined[index] = Block(blocks[index].address, words)
    return joined


def ends_in_branch(words: Words) -> bool:
    """Whether the last instruction of a block may jump."""
    return any(words[-1] & mask == value for mask, value in BRANCHES)


def execution_order(graph: Graph, outputs: Iterable[str]) -> list[Layer]:
    """The layers in the order in which ncnn runs them when outputs are extracted one after the other.

    Source: `Extractor::extract` and `NetPrivate::forward_layer` of ncnn's `src/net.cpp`.
    """
    producer = {blob: layer for layer in graph.layers for blob in layer.outputs}
    done: set[str] = set()
    order: list[Layer] = []
    for output in outputs:
        pending = [(producer[output], False)] if output in producer else []
        while pending:
            layer, inputs_done = pending.pop()
            if layer.name in done or layer.type == "Input":
                continue
            if inputs_done:
                done.add(layer.name)
                order.append(layer)
            else:
                pending.append((layer, True))
                pending += [(producer[blob], False) for blob in reversed(layer.inputs) if blob in producer]
    return order


COVERAGE = 0.999
"""Share of the executed instructions whose blocks are analysed. The others get the mean of those."""


@dataclass
class Amount:
    """Executed instructions, modelled cycles, and lines of memory that missed in the caches."""

    instructions: int = 0
    cycles: float = 0.0
    lines: int = 0

    def add(self, instructions: int, cycles: float) -> None:
        """Add some instructions and their cycles."""
        self.instructions += instructions
        self.cycles += cycles


@dataclass
class Account:
    """A frame on one core.

    Attributes:
        total: All of it.
        by_part: By stage and place of the layer in the order of execution, None for the rest of the stage.
        by_function: By stage, place of the layer and demangled name of the function; without lines.
        unmodelled: Share of the executed instructions that the model of the core lacks; they cost nothing.
        estimated: Share of the executed instructions that got the mean of the others.
    """

    total: Amount = field(default_factory=Amount)
    by_part: dict[tuple[int, int | None], Amount] = field(default_factory=lambda: defaultdict(Amount))
    by_function: dict[tuple[int, int | None, str], Amount] = field(
        default_factory=lambda: defaultdict(Amount)
    )
    unmodelled: float = 0.0
    estimated: float = 0.0


class CountedFrame:
    """The blocks of a frame, ready to be analysed for any core that runs the same code.

    Args:
        blocks: The blocks of the run.
        parts: The parts of the frame.
    """

    def __init__(self, blocks: Sequence[Block], parts: Sequence[Part]) -> None:
        self._parts = parts
        self._joined = join_blocks(blocks, parts)
        executed: Counter[int] = Counter()
        for part in parts:
            for index, count in part.counts.items():
                if index in self._joined:
                    executed[index] += count
        self.instructions = sum(n * len(self._joined[i].words) for i, n in executed.items())
        self._analysed = self._most_executed(executed)

    def blocks_to_analyse(self) -> list[Words]:
        """The distinct blocks that cover `COVERAGE` of the instructions, in a fixed order."""
        return sorted({self._joined[i].words for i in self._analysed})

    def check_layers(self, expected: Mapping[int, int]) -> None:
        """Compare the layers that ran with those that were expected, by stage.

        Raises:
            EngineError: If their numbers differ: then no layer could be named.
        """
        ran = Counter(part.stage for part in self._parts if part.layer is not None)
        for stage in sorted(ran.keys() | expected.keys()):
            if ran[stage] != expected.get(stage, 0):
                found = f"ran {ran[stage]} layers, expected {expected.get(stage, 0)}"
                raise EngineError(f"stage {stage + 1} {found}; build the runner anew: make arm-model")

    def account(self, costs: Mapping[Words, BlockCost], functions: Mapping[int, str]) -> Account:
        """Add up the cycles.

        Args:
            costs: Costs of `blocks_to_analyse`, on one core.
            functions: The function of each address that a block begins at.

        Returns:
            The account.
        """
        cycles = {i: costs[self._joined[i].words].cycles for i in self._analysed}
        skipped = {i: costs[self._joined[i].words].skipped for i in self._analysed}
        mean = self._mean_cycles(cycles)
        account = Account()
        lost = estimated = 0
        for part in self._parts:
            for amount in (account.total, account.by_part[part.stage, part.layer]):
                amount.lines += part.lines
            for index, count in sorted(part.counts.items()):
                block = self._joined.get(index)
                if block is None:  # part of the one before it
                    continue
                instructions = count * len(block.words)
                spent = count * cycles[index] if index in cycles else mean * instructions
                place, function = (part.stage, part.layer), functions[block.address]
                account.total.add(instructions, spent)
                account.by_part[place].add(instructions, spent)
                account.by_function[(*place, function)].add(instructions, spent)
                lost += count * skipped.get(index, 0)
                estimated += 0 if index in cycles else instructions
        account.unmodelled = lost / max(self.instructions, 1)
        account.estimated = estimated / max(self.instructions, 1)
        return account

    def addresses(self) -> set[int]:
        """Where the blocks of the frame begin."""
        return {block.address for block in self._joined.values()}

    def _most_executed(self, executed: Mapping[int, int]) -> list[int]:
        by_work = sorted(executed, key=lambda i: (-executed[i] * len(self._joined[i].words), i))
        chosen, done = [], 0
        for index in by_work:
            if done >= COVERAGE * self.instructions:
                break
            chosen.append(index)
            done += executed[index] * len(self._joined[index].words)
        return chosen

    def _mean_cycles(self, cycles: Mapping[int, float]) -> float:
        """Cycles per instruction of the blocks that were analysed."""
        spent = instructions = 0.0
        for part in self._parts:
            for index, count in part.counts.items():
                if index in cycles:
                    spent += count * cycles[index]
                    instructions += count * len(self._joined[index].words)
        return spent / max(instructions, 1.0)
