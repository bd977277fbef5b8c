"""Cycles are added up by stage, layer and function, and the parts give the whole."""

from dataclasses import replace

import pytest

from pocketdet.armmodel.frame import CountedFrame, Part
from pocketdet.armmodel.pipeline import BlockCost
from pocketdet.armmodel.trace import Block
from pocketdet.errors import EngineError

ADD, RETURN = 0x8B020020, 0xD65F03C0
BLOCKS = [Block(0x1000, (ADD, ADD, RETURN)), Block(0x2000, (ADD, RETURN)), Block(0x3000, (RETURN,))]
PARTS = [Part(0, None, {0: 10}, 5), Part(1, 0, {0: 100, 1: 1000}, 70), Part(1, 1, {1: 3000, 2: 1})]
FUNCTIONS = {0x1000: "resize", 0x2000: "convolution", 0x3000: "rare"}
COSTS = {(ADD, ADD, RETURN): BlockCost(1.5, 1), (ADD, RETURN): BlockCost(2.0, 0)}


@pytest.fixture
def frame() -> CountedFrame:
    return CountedFrame(BLOCKS, PARTS)


def test_only_blocks_that_matter_are_analysed(frame: CountedFrame) -> None:
    assert frame.instructions == 330 + 8000 + 1
    assert frame.blocks_to_analyse() == sorted(COSTS)


def test_parts_give_the_whole(frame: CountedFrame) -> None:
    account = frame.account(COSTS, FUNCTIONS)
    mean = (110 * 1.5 + 4000 * 2.0) / 8330
    assert account.total.cycles == pytest.approx(110 * 1.5 + 4000 * 2.0 + mean)
    assert account.total.instructions == frame.instructions
    assert account.by_part[1, 0].cycles == pytest.approx(100 * 1.5 + 1000 * 2.0)
    assert account.by_function[1, 1, "convolution"].cycles == 6000.0
    for amounts in (account.by_part, account.by_function):
        assert sum(a.cycles for a in amounts.values()) == pytest.approx(account.total.cycles)
        assert sum(a.instructions for a in amounts.values()) == frame.instructions
    assert account.total.lines == 75
    assert account.by_part[1, 0].lines == 70
    assert account.unmodelled == pytest.approx(110 / 8331)
    assert account.estimated == pytest.approx(1 / 8331)


def test_two_accounts_are_equal(frame: CountedFrame) -> None:
    again = CountedFrame(BLOCKS, [replace(p, counts=dict(reversed(p.counts.items()))) for p in PARTS])
    assert frame.account(COSTS, FUNCTIONS) == again.account(COSTS, FUNCTIONS)


def test_layers_that_do_not_match_the_graph_are_refused(frame: CountedFrame) -> None:
    frame.check_layers({1: 2})
    with pytest.raises(EngineError, match="stage 2 ran 2 layers, expected 3"):
        frame.check_layers({1: 3})
    with pytest.raises(EngineError, match="stage 1 ran 0 layers, expected 1"):
        frame.check_layers({0: 1, 1: 2})
