"""The page of recognised families lists all of them."""

from pathlib import Path

from pocketdet.export.families import FAMILIES

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "families.md"


def test_every_preset_has_a_row() -> None:
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    listed = [name.strip(" `") for row in rows for name in row.split("|")[1].split(",")]
    assert listed == [family.name for family in FAMILIES]
