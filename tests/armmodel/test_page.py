"""A section of a page is replaced, and nothing else of it."""

from pathlib import Path

import pytest

from pocketdet.armmodel import alignment_table, table9, validation
from pocketdet.armmodel.page import markdown_table, write_section
from pocketdet.errors import UsageError

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "arm-cycles.md"


@pytest.mark.parametrize("name", [module.SECTION for module in (alignment_table, table9, validation)])
def test_the_page_has_the_sections(name: str, tmp_path: Path) -> None:
    copy = tmp_path / "page.md"
    copy.write_text(PAGE.read_text(encoding="utf-8"), encoding="utf-8")
    write_section(copy, name, markdown_table(["a", "b"], [["1", "2"]]))
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(f"<!-- {name} -->")
    after = rest.partition(f"<!-- end of {name} -->")[2]
    table = "| a | b |\n| --- | --- |\n| 1 | 2 |"
    assert copy.read_text(encoding="utf-8") == (
        f"{before}<!-- {name} -->\n{table}\n<!-- end of {name} -->{after}"
    )


def test_a_page_without_the_section_is_refused(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("<!-- other -->\n<!-- end of other -->\n")
    with pytest.raises(UsageError, match=r"page\.md: expected the comments <!-- table 9 -->"):
        write_section(page, "table 9", "text")
    assert page.read_text() == "<!-- other -->\n<!-- end of other -->\n"
    with pytest.raises(UsageError, match="cannot be read"):
        write_section(tmp_path / "none.md", "table 9", "text")
