"""What is given to LLVM and what is read from it; with LLVM itself where it is installed."""

from pathlib import Path

import pytest

from pocketdet.armmodel.instrument import Llvm, find_llvm
from pocketdet.armmodel.pipeline import (
    ITERATIONS,
    CostStore,
    PipelineModel,
    assembly,
    parse_analysis,
    parse_disassembly,
)
from pocketdet.errors import UsageError

FMLA, SUBS, LOOP, CALL, UNKNOWN = 0x4E22CC20, 0x71000421, 0x54FFFFC1, 0x94000020, 0x00000001
BLOCKS = [(FMLA, SUBS, LOOP), (CALL,), (FMLA, UNKNOWN)]


def test_disassembly_is_read_without_comments() -> None:
    output = "\t.text\n\tmov\tx0, #0                          // =0x0\n\tfmla\tv0.4h, v0.4h, v2.4h\n\n"
    assert parse_disassembly(output) == ["mov\tx0, #0", "fmla\tv0.4h, v0.4h, v2.4h"]


def test_calls_become_branches() -> None:
    text = {FMLA: "fmla\tv0.4s, v1.4s, v2.4s", CALL: "bl\t#128"}
    lines = assembly([(FMLA, CALL), (CALL,)], text).splitlines()
    assert lines == [
        "# LLVM-MCA-BEGIN 0",
        "fmla\tv0.4s, v1.4s, v2.4s",
        "b #4",
        "# LLVM-MCA-END",
        "# LLVM-MCA-BEGIN 1",
        "b #4",
        "# LLVM-MCA-END",
    ]


def test_skipped_instructions_are_counted() -> None:
    regions = [
        {"Name": "0", "Instructions": ["a", "b"], "SummaryView": {"TotalCycles": 240}},
        {"Name": "1", "Instructions": ["c"], "SummaryView": {"TotalCycles": 63}},
    ]
    found = dict(parse_analysis({"CodeRegions": regions}, BLOCKS))
    assert found == {BLOCKS[0]: (240, 1), BLOCKS[1]: (63, 0), BLOCKS[2]: (0, 2)}


@pytest.fixture
def llvm() -> Llvm:
    try:
        return find_llvm()
    except UsageError as error:
        pytest.skip(str(error))


def test_costs_of_llvm_and_of_the_store_agree(llvm: Llvm, tmp_path: Path) -> None:
    first = PipelineModel(llvm.mc, llvm.mca, CostStore(tmp_path / "costs"), 1).costs("neoverse-n1", BLOCKS)
    again = PipelineModel(Path("/none"), Path("/none"), CostStore(tmp_path / "costs"), 1)
    assert again.costs("neoverse-n1", BLOCKS) == first
    # the sum in one register: 2 cycles by the N1's forwarding between accumulators, or 4 by its latency
    assert 2.0 <= first[BLOCKS[0]].cycles <= 4.0 + 10 / ITERATIONS
    assert first[BLOCKS[1]].cycles <= 1.5


def test_a_block_costs_the_same_in_any_company(llvm: Llvm, tmp_path: Path) -> None:
    together = PipelineModel(llvm.mc, llvm.mca, CostStore(tmp_path / "a"), 2).costs("cortex-a55", BLOCKS)
    alone = PipelineModel(llvm.mc, llvm.mca, CostStore(tmp_path / "b"), 1)
    assert {words: alone.costs("cortex-a55", [words])[words] for words in BLOCKS} == together
