"""Costs of blocks are kept between runs, by block and by core."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocketdet.armmodel.pipeline import CostStore
from pocketdet.errors import UsageError

WORD = st.integers(0, 2**32 - 1)
COSTS = st.dictionaries(
    st.lists(WORD, min_size=1, max_size=5).map(tuple), st.tuples(st.integers(0, 10**9), st.integers(0, 9))
)


@given(costs=COSTS)
def test_what_is_written_is_read(costs: dict[tuple[int, ...], tuple[int, int]]) -> None:
    store = CostStore(Path(":memory:"))
    store.write("neoverse-n1", costs)
    assert store.read("neoverse-n1", costs) == costs
    assert store.read("cortex-a55", costs) == {}


def test_two_stores_share_a_file(tmp_path: Path) -> None:
    one, other = (CostStore(tmp_path / "folder" / "costs") for _ in range(2))
    one.write("neoverse-n1", {(1, 2): (3, 0)})
    other.write("neoverse-n1", {(1, 2): (3, 0), (4,): (5, 1)})
    assert one.read("neoverse-n1", [(1, 2), (4,), (6,)]) == {(1, 2): (3, 0), (4,): (5, 1)}


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "costs"
    path.write_text("not a database, and long enough to be read as one: " + "x" * 200)
    with pytest.raises(UsageError, match=rf"{path}: .*delete it and try again"):
        CostStore(path)


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be used"):
        CostStore(tmp_path / "file" / "costs")
