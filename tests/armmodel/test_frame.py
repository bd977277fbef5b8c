"""The last frame is cut out of a run, and layers get their names by ncnn's order of execution."""

import pytest

from pocketdet.armmodel.frame import Marks, Part, ends_in_branch, execution_order, join_blocks, last_frame
from pocketdet.armmodel.trace import Block, Segment, Trace
from pocketdet.errors import EngineError
from pocketdet.runtime.ncnn_graph import Graph, Layer

MARKS = Marks(frame=0x100, clock=0x200, layer=0x300)
FRAME = [Segment(0x100), Segment(0x200, {0: 1}), Segment(0x300, {1: 2}), Segment(0x300, {1: 3})]
FRAME += [Segment(0x200, {0: 4}), Segment(0x200, {0: 99})]


def test_the_last_frame_by_stage_and_layer() -> None:
    trace = Trace([], [Segment(0, {0: 7}), *FRAME, *FRAME])
    assert last_frame(trace, MARKS, 2) == [
        Part(0, None, {0: 1}),
        Part(0, 0, {1: 2}),
        Part(0, 1, {1: 3}),
        Part(1, None, {0: 4}),
    ]


def test_a_run_without_a_whole_frame() -> None:
    with pytest.raises(EngineError, match="no frame"):
        last_frame(Trace([], [Segment(0)]), MARKS, 1)
    with pytest.raises(EngineError, match="ended in stage 3 of 4"):
        last_frame(Trace([], FRAME), MARKS, 4)


ADD, BRANCH = 0x8B020020, 0x54FFFFE1


def test_a_block_that_a_page_ends_is_joined_with_the_next() -> None:
    blocks = [Block(0xFF8, (ADD, ADD)), Block(0x1000, (ADD, BRANCH)), Block(0x1008, (ADD, BRANCH))]
    joined = join_blocks(blocks, [Part(0, None, {0: 3, 1: 3, 2: 3}), Part(0, 0, {0: 1, 1: 1})])
    assert joined == {0: Block(0xFF8, (ADD, ADD, ADD, BRANCH)), 2: blocks[2]}


def test_the_end_of_a_loop_is_joined_with_its_head_and_with_what_runs_before_its_first_pass() -> None:
    blocks = [Block(0xFF0, (ADD,) * 4), Block(0xFF8, (ADD,) * 2), Block(0x1000, (ADD, BRANCH))]
    joined = join_blocks(blocks, [Part(0, None, {0: 2, 1: 38, 2: 40})])
    assert joined == {0: Block(0xFF0, (*[ADD] * 5, BRANCH)), 1: Block(0xFF8, (ADD, ADD, ADD, BRANCH))}


def test_a_block_that_is_entered_from_elsewhere_too_is_not_joined() -> None:
    blocks = [Block(0xFF8, (ADD, ADD)), Block(0x1000, (ADD, BRANCH))]
    assert join_blocks(blocks, [Part(0, None, {0: 3, 1: 5})]) == dict(enumerate(blocks))


@pytest.mark.parametrize(
    ("word", "branch"),
    [
        (0x14000010, True),  # b
        (0x94000020, True),  # bl
        (0x54FFFFE1, True),  # b.ne
        (0xB4000040, True),  # cbz x0
        (0x37000040, True),  # tbnz
        (0xD65F03C0, True),  # ret
        (0xD63F0100, True),  # blr x8
        (0xD4000001, True),  # svc #0
        (ADD, False),
        (0x4E20D400, False),  # fadd v0.4s
    ],
)
def test_branches(word: int, branch: bool) -> None:
    assert ends_in_branch((ADD, word)) is branch


def test_layers_run_in_the_order_in_which_outputs_ask_for_them() -> None:
    graph = Graph(
        [
            Layer("Input", "in0", [], ["in0"]),
            Layer("Split", "split", ["in0"], ["a", "b"]),
            Layer("ReLU", "first", ["a"], ["out0"]),
            Layer("Sigmoid", "second", ["b"], ["c"]),
            Layer("ReLU", "unused", ["d"], ["e"]),
        ]
    )
    assert [layer.name for layer in execution_order(graph, ["c", "out0"])] == ["split", "second", "first"]
    assert execution_order(graph, ["in0"]) == []
