"""Cycles of a frame on a core, added up by stage, layer and function."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pocketdet.armmodel.frame import Part, join_blocks
from pocketdet.armmodel.pipeline import BlockCost
from pocketdet.armmodel.trace import Block, Words
from pocketdet.errors import EngineError

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
