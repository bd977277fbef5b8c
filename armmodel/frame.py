"""One frame of a traced program, split by stage and by layer of ncnn."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pocketdet.armmodel.symbols import Symbols
from pocketdet.armmodel.trace import Block, Trace, Words
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
