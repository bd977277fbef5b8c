import pytest

from pocketdet.models.counting import PAPER_COUNTS, count_one_stage

# facts.md: billions of MACs derived from the layers; 700 and 600 there without the rounding up of odd maps
DERIVED = [149.2, 113.8, 83.6, 138.7, 113.5, 91.8]


@pytest.fixture(scope="module")
def counts():
    return [count_one_stage(row) for row in PAPER_COUNTS]


@pytest.mark.slow
def test_macs_of_table_3(counts):
    rows = [row for row in counts if row.paper.gmacs]
    for row, derived in zip(rows, DERIVED, strict=True):
        assert row.macs / 1e9 == pytest.approx(derived, rel=5e-4 if row.paper.side == 800 else 1.4e-2), row
        assert row.macs / 1e9 == pytest.approx(row.paper.gmacs, rel=0.045), row


@pytest.mark.slow
def test_parameters_and_boxes_of_passd(counts):
    rows = [row for row in counts if row.paper.parameters]
    assert len(rows) == 7
    for row in rows:
        # as printed: 24.87, 6.7, 47
        assert row.parameters / 1e6 == pytest.approx(float(row.paper.parameters), rel=0.02), row
        assert row.paper.boxes is None or row.boxes == row.paper.boxes
