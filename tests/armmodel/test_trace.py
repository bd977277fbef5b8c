"""The output of the counting plugin is parsed, or refused in a sentence."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocketdet.armmodel.trace import Block, Segment, parse_trace
from pocketdet.errors import EngineError

GOOD = """\
block 0 400100 d2800000 94000020
count 0 1
reach 400200
block 1 400200 4e20d400 54ffffe1
count 0 2
count 1 40
lines 7
end
"""


def test_blocks_and_segments() -> None:
    trace = parse_trace(GOOD.splitlines(keepends=True))
    assert trace.blocks == [
        Block(0x400100, (0xD2800000, 0x94000020)),
        Block(0x400200, (0x4E20D400, 0x54FFFFE1)),
    ]
    assert trace.segments == [Segment(0, {0: 1}), Segment(0x400200, {0: 2, 1: 40}, 7)]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "the end is missing"),
        (GOOD.replace("end\n", ""), "the end is missing"),
        (GOOD.replace("count 1 40", "count 7 40"), "line 6: .*block 7 of 2 blocks"),
        (GOOD.replace("count 1 40", "count -1 40"), "line 6"),
        (GOOD.replace("block 1", "block 5"), "line 4: .*block 5 after 1 blocks"),
        (GOOD.replace("reach", "leave"), "line 3"),
        (GOOD.replace("d2800000", "xyz"), "line 1"),
        (GOOD.replace("count 0 2", "count 0"), "line 5"),
        (GOOD.replace("lines 7", "lines"), "line 7"),
    ],
)
def test_damaged_output_is_refused(text: str, problem: str) -> None:
    with pytest.raises(EngineError, match=problem):
        parse_trace(text.splitlines())


@given(st.lists(st.sampled_from([*GOOD.splitlines(), "", "block", "reach", "count 0 x", "end now", "\0"])))
def test_any_lines_are_parsed_or_refused(lines: list[str]) -> None:
    try:
        trace = parse_trace(lines)
    except EngineError:
        return
    assert all(index < len(trace.blocks) for segment in trace.segments for index in segment.counts)
