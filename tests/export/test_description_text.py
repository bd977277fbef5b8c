"""Descriptions that are written as TOML are read back as they were."""

from pathlib import Path

import pytest
from foreign_onnx import DESCRIPTION
from hypothesis import given
from hypothesis import strategies as st

from pocketdet.export.reference.description import (
    DescribedField,
    DescribedLevel,
    Description,
    description_toml,
    read_description,
)
from pocketdet.models.config import Preprocessing
from pocketdet.spec.one_stage import CxcywhCoding, DistanceCoding, Scores, Selection, XyxyCoding

LEVEL = DescribedLevel(8, DescribedField(5, output="a"), DescribedField(0, output='b "1"\x7f', layout="rows"))
DESCRIPTIONS = (
    Description((32, 64), ("a",), (LEVEL,)),
    Description(
        (320, 320),
        ("Schraube", "nut\n"),
        (
            DescribedLevel(16, 5, (0, 4), 9, output="m", grid=(3, 4), offset=0.0),
            DescribedLevel(32, 5, (0, DescribedField(4, first_row=7, layout="columns")), 9, output="n"),
        ),
        (DistanceCoding(bins=16), CxcywhCoding(origin="image", multiplier=(0.1, 0.1, 0.2, 1 / 3))),
        Scores("softmax", "first", class_power=0.4),
        Selection(top_n=300, nms="none", objectness_threshold=0.1, per_class=False),
        Preprocessing("BGR", (0, 0.5, 1e-7), (1, 2, 3), "letterbox", (114, 114, 0)),
    ),
    Description((8, 8), ("x",), (LEVEL,), (XyxyCoding(unit="input"),)),
)


def read_back(text: str, folder: Path) -> Description:
    path = folder / "d.toml"
    path.write_text(text, encoding="utf-8")
    return read_description(path)


@pytest.mark.parametrize("description", DESCRIPTIONS)
def test_a_written_description_is_read_back_as_it_was(tmp_path: Path, description: Description) -> None:
    text = description_toml(description, ["a line", "two\nlines"])
    assert text.startswith("# a line\n# two\n# lines\n")
    found = read_back(text, tmp_path)
    assert found == description
    assert found.spec() == description.spec()


def test_a_description_that_was_read_is_written_and_read_again(tmp_path: Path) -> None:
    description = read_back(DESCRIPTION, tmp_path)
    assert read_back(description_toml(description), tmp_path) == description


@given(names=st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=9), min_size=1, max_size=4))
def test_any_class_name_survives(names: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    description = Description((32, 32), tuple(names), (LEVEL,))
    assert read_back(description_toml(description), tmp_path_factory.getbasetemp()) == description
