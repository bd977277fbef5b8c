"""The table of phones: sound, and found by words of a name or by a code of Android."""

import pytest
from pydantic import ValidationError

from pocketdet.benchmarks.phones import Phones, load_phones
from pocketdet.benchmarks.predict.coefficients import load_models, tokens


def test_every_row_has_a_source_and_a_maker() -> None:
    table = load_phones()
    assert len(table.names) > 60
    assert all(" " in name for name in table.names)
    for row in (*table.chip, *table.phone):
        assert row.source.startswith("https://")
    for chip in table.chip:
        assert all(code == code.lower() for code in chip.codes)
        assert any(chip.name in row.chips for row in table.phone)


def test_words_find_phones() -> None:
    def found(query: str) -> list[tuple[str, str, bool]]:
        return [(phone.name, phone.chip.name, phone.only) for phone in load_phones().find(query)]

    assert found("Pixel 8") == [("Google Pixel 8", "Google Tensor G3", True)]
    assert found("pixel 8 pro") == [("Google Pixel 8 Pro", "Google Tensor G3", True)]
    assert found("galaxy s23+") == [("Samsung Galaxy S23+", "Snapdragon 8 Gen 2", True)]
    assert found("galaxy s9") == [
        ("Samsung Galaxy S9", "Snapdragon 845", False),
        ("Samsung Galaxy S9", "Exynos 9810", False),
    ]
    assert found("nokia") == []


@pytest.mark.parametrize(
    ("code", "name"), [("kona", "Snapdragon 865"), ("SDM845", "Snapdragon 845"), ("zuma", "Google Tensor G3")]
)
def test_codes_find_chips(code: str, name: str) -> None:
    assert load_phones().chip_of(code) == name
    assert load_phones().chip_of(code + "x") is None


def test_no_chip_is_taken_for_another_device() -> None:
    """The words of a chip's name are those of one published chip at most."""
    names = {device.name for device in load_models().devices}
    for chip in load_phones().chip:
        assert sum(tokens(chip.name) <= tokens(name) for name in names) <= 1, chip.name


def test_a_table_that_contradicts_itself_is_refused() -> None:
    chip = {"name": "A", "core": "B", "codes": ["a"], "source": "https://a.b"}
    phone = {"names": ["C D"], "chips": ["A"], "source": "https://a.b"}
    Phones.model_validate({"chip": [chip], "phone": [phone]})
    for table, words in (
        ({"chip": [chip, {**chip, "codes": []}], "phone": [phone]}, "a chip is listed twice"),
        ({"chip": [chip], "phone": [phone, phone]}, "a phone is listed twice"),
        ({"chip": [chip], "phone": [{**phone, "chips": ["E"]}]}, "unknown chips: E"),
        ({"chip": [{**chip, "source": "a book"}], "phone": [phone]}, "source"),
    ):
        with pytest.raises(ValidationError, match=words):
            Phones.model_validate(table)
